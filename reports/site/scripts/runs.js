"use strict";
async function showRuns() {}
