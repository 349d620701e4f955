"use strict";
async function showCrystal() {}
