import { expect } from "chai"
import { ENDINGS } from "#src/core/records/ending.js"
import { keyStateRow, phaseOf, takesMaterial } from "#src/core/key/key-state.js"
import { STATE_TABLE } from "#src/local-kms/state/key-state.js"

/** KMS' own table, as far as keyferry decides by it ("Key states of AWS KMS keys"). */
const TABLE: readonly (readonly [
  state: string,
  phase: string,
  takesImport: string,
  catchingUp: boolean,
  listsRotations: boolean,
  blocks: string | null,
])[] = [
  ["Enabled", "usable", "again", true, true, null],
  ["Disabled", "disabled", "enabling", false, true, null],
  ["PendingImport", "empty", "first", true, true, null],
  ["PendingDeletion", "dying", "never", false, false, "PENDING_DELETION"],
  ["PendingReplicaDeletion", "dying", "never", false, false, "PENDING_DELETION"],
  ["Creating", "creating", "never", true, false, "NOT_READY"],
  ["Updating", "passing", "never", false, true, "NOT_READY"],
  ["Unavailable", "passing", "never", false, true, "UNAVAILABLE"],
  ["SomethingNew", "passing", "never", false, true, "STATE_UNKNOWN"],
]

describe("key states", () => {
  for (const [state, phase, takesImport, catchingUp, listsRotations, blocks] of TABLE) {
    it(`${state} is ${phase}`, () => {
      const row = keyStateRow(state)
      expect(row).to.include({ phase, takesImport, catchingUp, listsRotations, blocks })
      expect([row.words, row.hint]).not.to.include("")
      expect(phaseOf({ keyState: state })).to.equal(phase)
      expect(takesMaterial({ keyState: state })).to.equal(["first", "again"].includes(takesImport))
    })
  }

  it("are those that the local KMS knows", () => {
    const states = new Set(Object.values(STATE_TABLE).flatMap((row) => Object.keys(row)))
    const known = TABLE.slice(0, -1).map(([state]) => state)
    expect([...states].filter((state) => !known.includes(state))).to.deep.equal([])
  })

  it("no word of an object's own passes for one", () => {
    expect(keyStateRow("constructor").phase).to.equal("passing")
  })

  it("an ending is done in one phase and begins in others", () => {
    for (const { done, from } of Object.values(ENDINGS)) {
      expect(done.filter((phase) => (from as readonly string[]).includes(phase))).to.deep.equal([])
      expect(from).not.to.include("passing")
    }
  })
})
