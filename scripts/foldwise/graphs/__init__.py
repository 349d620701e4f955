"""CHGNet's graphs: conversion, flat store, batches, padding, views on the device."""
