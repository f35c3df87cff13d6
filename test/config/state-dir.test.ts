import { homedir } from "node:os"
import { expect } from "chai"
import { stateDirPath } from "#src/config/state-dir.js"

describe("stateDirPath", () => {
  const all = { KEYFERRY_STATE_DIR: "/k", STATE_DIRECTORY: "/s1:/s2", XDG_STATE_HOME: "/x", HOME: "/h" }
  const cases: [name: string, flag: string | undefined, env: NodeJS.ProcessEnv, expected: string][] = [
    ["the flag", "/f", all, "/f"],
    ["a relative flag", "f/../g", all, `${process.cwd()}/g`],
    ["KEYFERRY_STATE_DIR", undefined, all, "/k"],
    ["the first of STATE_DIRECTORY", undefined, { ...all, KEYFERRY_STATE_DIR: "" }, "/s1"],
    ["XDG_STATE_HOME", undefined, { XDG_STATE_HOME: "/x", HOME: "/h" }, "/x/keyferry"],
    [
      "the home folder, for a relative XDG_STATE_HOME",
      undefined,
      { XDG_STATE_HOME: "x", HOME: "/h" },
      "/h/.local/state/keyferry",
    ],
    ["the account's home folder", undefined, {}, `${homedir()}/.local/state/keyferry`],
  ]
  for (const [name, flag, env, expected] of cases) {
    it(`takes ${name}`, () => {
      expect(stateDirPath(flag, env)).to.equal(expected)
    })
  }
})
