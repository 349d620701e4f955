"use strict";
async function showCompare() {}
