import { expect } from "chai"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { block, expectPromised, ROOT } from "../support/docs-blocks.js"
import { freePort } from "../support/free-port.js"
import { PAGED, strangerShell } from "../support/stranger-shell.js"

/** Columns of a terminal that shows every row of a table whole. */
const WIDE = 400
const PORT = "4599"

/** What the page's rehearsal says in words, for a reader who has no HSM. */
const typed = {
  family: ["FAMILY=luna", "FAMILY=softhsm2"],
  module: ['--region "$REGION" --out', '--region "$REGION" --module "$TOKEN_MODULE" --out'],
  pinFile: `sed -i "s|/etc/keyferry/pin|$PIN_FILE|" keyferry.yaml\n`,
  halves: "exec </dev/null < <(head -c 8 token/pin; echo; tail -c +9 token/pin; echo)\n",
  otherPartition: `cp -r token other; sed -i "s|$PWD/token|$PWD/other|" other/softhsm2.conf
HERE=$SOFTHSM2_CONF; SOFTHSM2_CONF=$PWD/other/softhsm2.conf\n`,
  firstPartition: "rm -rf other restored; SOFTHSM2_CONF=$HERE\n",
} as const

describe("docs/production.md", () => {
  const home = temporaryFolder()

  it("leads from a new token to the first production key, top to bottom in one shell", async () => {
    const [family, softhsm] = typed.family
    const [init, initOfModule] = typed.module
    const pageText = [
      block("production: rehearsal"),
      block("production: configuration").replace(family, softhsm).replace(init, initOfModule),
      typed.pinFile,
      block("production: policies"),
      block("production: policies in force"),
      "aws kms create-key --origin EXTERNAL 2>&1\n#> …AccessDenied…\n#> exit status 254\n",
      "keyferry provision --name trial\n#> `keyferry apply --key trial` makes trial as the configuration file has it\n#> exit status 64\n",
      typed.halves,
      block("production: PIN"),
      block("production: doctor"),
      block("production: trial key"),
      block("production: proof"),
      block("production: backup"),
      typed.otherPartition,
      block("production: restore"),
      typed.firstPartition,
      block("production: backup confirmed"),
      block("production: loss"),
      block("production: alarms"),
      block("production: first key"),
      "keyferry schedule-deletion trial --pending-window-days 7 --yes\n#> …AccessDenied…\n#> exit status 77\n",
      block("production: end of the trial"),
      block("production: configuration without the trial"),
      block("production: after the trial"),
      block("production: one round"),
    ].join("")
    expect(pageText).to.include(softhsm).and.include(initOfModule)
    const script = pageText.replaceAll(PORT, String(await freePort()))
    const env = { TMPDIR: home() }
    const { output } = await strangerShell(`${script}kill %1\n`, { home: home(), cwd: ROOT, env, columns: WIDE })
    expectPromised(script, output)
    expect(output).to.not.match(/^fail /m)
    expect(output).to.not.include(PAGED)
  })
})
