import { spawnSync } from "node:child_process"
import { readdirSync } from "node:fs"
import { expect } from "chai"
import fc from "fast-check"
import { shellPath, shellWord } from "#src/core/base/shell-word.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const SHELLS = ["sh", "bash"] as const

describe("shellWord", () => {
  const folder = temporaryFolder()
  /** What a command gets as its arguments. */
  const passed = (shell: string, words: readonly string[]): readonly string[] => {
    const script = `printf '%s\\0' ${words.join(" ")}`
    const { stdout, status } = spawnSync(shell, ["-c", script], { encoding: "utf8", cwd: folder() })
    expect(status, script).to.equal(0)
    return stdout.split("\0").slice(0, -1)
  }

  const hostile: readonly string[] = [
    ";touch${IFS}x;",
    "$(touch x)",
    "`touch x`",
    "'; touch x; '",
    `"; touch x; "`,
    "a b\tc",
    "first\nsecond; touch x",
    "~",
    "=ls",
    "-n",
    "*",
    "!!",
    "#",
    "\\",
    "a&touch x&",
    "a|touch x",
    ">x",
    "ä€😀",
    "",
    "'",
    "'\\''",
  ]
  for (const shell of SHELLS) {
    it(`is taken by ${shell} as it is, and nothing else happens`, () => {
      expect(passed(shell, hostile.map(shellWord))).to.deep.equal(hostile)
      expect(readdirSync(folder())).to.deep.equal([])
    })
  }

  it("holds for any text", () => {
    const texts = fc.array(
      fc.string({ unit: "binary", maxLength: 20 }).filter((text) => !text.includes("\0")),
      {
        minLength: 20,
        maxLength: 200,
      },
    )
    fc.assert(
      fc.property(texts, (words) => {
        // a process is given bytes, so halves of surrogate pairs never reach it
        const whole = words.map((text) => Buffer.from(text).toString())
        expect(passed("sh", whole.map(shellWord))).to.deep.equal(whole)
      }),
      { numRuns: 20 },
    )
    expect(readdirSync(folder())).to.deep.equal([])
  })

  it("leaves plain words as they are", () => {
    for (const plain of ["payments", "alias/payments", "arn:aws:kms:eu-west-3:111122223333:key/1-2", "/a/b.bin"]) {
      expect(shellWord(plain)).to.equal(plain)
    }
  })

  it("makes no option of a path", () => {
    expect(shellPath("-rf")).to.equal("./-rf")
    expect(shellPath("-a b")).to.equal("'./-a b'")
    expect(shellPath("/a")).to.equal("/a")
  })
})
