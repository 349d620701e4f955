"use strict";
// Runs before the page is drawn: without scripts, everything stays one long page.
document.documentElement.classList.add("js");
