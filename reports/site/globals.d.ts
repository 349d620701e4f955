// The vendored libraries are classic scripts: each is one name.
declare const d3: any;
declare const Plot: any;
declare const Tabulator: any;
declare const $3Dmol: any;
