import js from "@eslint/js"
import { defineConfig, globalIgnores } from "eslint/config"
import tseslint from "typescript-eslint"

/** Time is read from the run's clock, so that there is one place to set it right. */
const CLOCK = [
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: "take a Clock" },
  { selector: "CallExpression[callee.name='Date']", message: "take a Clock" },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: "take a Clock" },
]

/** Reading the world belongs to the edge folders: `core` and `app` get it passed in. */
const WORLD = [
  ...CLOCK,
  {
    selector: "MemberExpression[object.name='process'][property.name='env']",
    message: "read the environment in cli/ or host/",
  },
]

export default defineConfig(
  globalIgnores([".node/", "dist/", "build/", "coverage/"]),
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      "no-console": "error",
    },
  },
  {
    files: ["src/**/*.ts"],
    ignores: [
      // the clocks themselves: the run's, and that of the other program
      "src/host/clock.ts",
      "src/local-kms/state/clock.ts",
      // a note for people: who waits for the lock since when
      "src/store/files/lock.ts",
    ],
    rules: { "no-restricted-syntax": ["error", ...CLOCK] },
  },
  {
    files: ["src/core/**/*.ts", "src/app/**/*.ts"],
    rules: {
      "no-restricted-syntax": ["error", ...WORLD],
      "no-restricted-imports": [
        "error",
        {
          paths: [
            "node:fs",
            "node:fs/promises",
            "node:child_process",
            "node:os",
            "node:http",
            "node:https",
            "node:net",
          ],
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off", "@typescript-eslint/no-unused-expressions": "off" },
  },
  {
    files: ["scripts/**/*.ts"],
    rules: { "no-console": "off" },
  },
  { files: ["**/*.js", "**/*.mjs"], languageOptions: { globals: { process: "readonly" } } },
)
