// Classic scripts share one scope: what one defines, another uses; tsc checks the names.
const markup = "Texts from data must stay texts.";

export default [
  {
    files: ["scripts/*.js"],
    languageOptions: { ecmaVersion: 2022, sourceType: "script" },
    rules: {
      "array-callback-return": "error",
      "constructor-super": "error",
      "consistent-return": "off",
      eqeqeq: "error",
      "no-cond-assign": "error",
      "no-const-assign": "error",
      "no-dupe-args": "error",
      "no-dupe-keys": "error",
      "no-duplicate-case": "error",
      "no-empty": "error",
      "no-eval": "error",
      "no-fallthrough": "error",
      "no-implied-eval": "error",
      "no-redeclare": "error",
      "no-restricted-properties": ["error",
        { property: "innerHTML", message: markup },
        { property: "outerHTML", message: markup },
        { property: "insertAdjacentHTML", message: markup }],
      "no-self-assign": "error",
      "no-unreachable": "error",
      "no-unused-vars": ["error", { vars: "local", args: "after-used", argsIgnorePattern: "^_" }],
      "no-var": "error",
      "prefer-const": "error",
      "use-isnan": "error",
    },
  },
];
