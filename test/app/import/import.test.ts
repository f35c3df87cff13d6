import { expect } from "chai"
import { AS_BEFORE } from "#src/app/import/terms.js"
import { provision } from "#src/app/provision/provision.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import type { FaultOptions } from "#src/local-kms/server/faults.js"
import { expectCode } from "#test/support/expect-code.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { openWorld, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

/** Each row of the table of remedies, provoked on the wire; how often KMS was asked, and what was said of it. */
describe("what an import does about a failure", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  const refuse = (operation: string, name: string, count = 1): Promise<void> =>
    world.kms.fault({ kind: "error", operation, count, name, message: "refused by the test", status: 400 })
  const spent = async () => [await world.requests("GetParametersForImport"), await world.requests("ImportKeyMaterial")]
  const attempts = ({ logged }: Run) =>
    logged
      .filter(({ event }) => event === "import.attempt")
      .map(({ attempt, remedy, waitMs, error }) => [
        attempt,
        remedy,
        waitMs,
        (error as { code?: string } | undefined)?.code,
      ])
  const importEvents = (run: Run) =>
    custodyEvents(run.stateDir)
      .map(({ event }) => event)
      .filter((event) => event.startsWith("import."))

  const helped: readonly (readonly [
    what: string,
    fault: readonly [operation: string, name: string, count: number],
    spent: readonly [parameters: number, imports: number],
    attempts: readonly (readonly [remedy: string, waitMs: number, code: string])[],
    events: readonly string[],
  ])[] = [
    [
      "waits while KMS does not know the KMS key, and sends the same again",
      ["ImportKeyMaterial", "NotFoundException", 3],
      [1, 4],
      [
        ["wait", 250, "ERR_KMS_KEY_NOT_FOUND"],
        ["wait", 500, "ERR_KMS_KEY_NOT_FOUND"],
        ["wait", 1000, "ERR_KMS_KEY_NOT_FOUND"],
      ],
      ["import.intended", "import.done", "import.proven"],
    ],
    [
      "waits while the KMS key's state has not caught up",
      ["ImportKeyMaterial", "KMSInvalidStateException", 1],
      [1, 2],
      [["wait", 250, "ERR_KMS_KEY_STATE"]],
      ["import.intended", "import.done", "import.proven"],
    ],
    [
      "waits for the import parameters too",
      ["GetParametersForImport", "NotFoundException", 2],
      [3, 1],
      [
        ["wait", 250, "ERR_KMS_KEY_NOT_FOUND"],
        ["wait", 500, "ERR_KMS_KEY_NOT_FOUND"],
      ],
      ["import.intended", "import.done", "import.proven"],
    ],
    ...(
      [
        ["ExpiredImportTokenException", "ERR_IMPORT_TOKEN_EXPIRED"],
        ["InvalidImportTokenException", "ERR_KMS_IMPORT_TOKEN"],
        ["InvalidCiphertextException", "ERR_KMS_CIPHERTEXT"],
      ] as const
    ).map(
      ([name, code]) =>
        [
          `begins with new parameters after ${name}`,
          ["ImportKeyMaterial", name, 1],
          [2, 2],
          [["new-parameters", 0, code]],
          ["import.intended", "import.failed", "import.intended", "import.done", "import.proven"],
        ] as const,
    ),
  ]
  for (const [index, [what, [operation, name, count], requests, tried, events]] of helped.entries()) {
    it(what, async () => {
      const run = await world.run()
      await refuse(operation, name, count)
      expect((await provision(run.deps, requestFor(`helped-${index}`))).outcome).to.equal("done")
      expect(await spent()).to.deep.equal(requests)
      expect(attempts(run)).to.deep.equal(tried.map((row, at) => [at + 1, ...row]))
      expect(importEvents(run)).to.deep.equal(events)
    })
  }

  const given: readonly (readonly [
    what: string,
    name: string,
    spent: readonly [parameters: number, imports: number],
    code: Parameters<typeof expectCode>[0],
    failures: number,
  ])[] = [
    ["waits no longer than eight seconds", "NotFoundException", [1, 6], "ERR_KMS_KEY_NOT_FOUND", 1],
    [
      "takes new parameters once, and no second time",
      "ExpiredImportTokenException",
      [2, 2],
      "ERR_IMPORT_TOKEN_EXPIRED",
      2,
    ],
    ["does nothing about what no row names", "AccessDeniedException", [1, 1], "ERR_KMS_ACCESS_DENIED", 1],
  ]
  for (const [index, [what, name, requests, code, failures]] of given.entries()) {
    it(what, async () => {
      const run = await world.run()
      await refuse("ImportKeyMaterial", name, 99)
      await expectCode(code, () => provision(run.deps, requestFor(`given-up-${index}`)))
      expect(await spent()).to.deep.equal(requests)
      expect(importEvents(run).filter((event) => event === "import.failed")).to.have.length(failures)
      expect(custodyEvents(run.stateDir).at(-1)).to.deep.include({ event: "import.failed", facts: { code } })
      expect(run.logged.findLast(({ event }) => event === "import.failed")).to.include({ code })
    })
  }

  const lost: readonly (readonly [kind: FaultOptions["kind"], imports: number, remedies: readonly string[]])[] = [
    // KMS says that the material is its own already, and the third one, pinned, has it compare and sets the expiry
    ["drop-after", 3, ["send-again", "send as existing material"]],
    ["drop-before", 2, ["send-again"]],
  ]
  for (const [kind, imports, remedies] of lost) {
    it(`sends new material once more whose answer was lost: ${kind}`, async () => {
      const run = await world.run()
      await provision(run.deps, requestFor(`lost-${kind}`))
      const entry = (await run.deps.inventory.get(`lost-${kind}`, "us-east-1")) ?? expect.fail()
      await world.kms.clearCounts()
      await world.kms.fault({ kind, operation: "ImportKeyMaterial", count: 1 })
      const { proof } = await rotateKey(run.deps, entry, AS_BEFORE)
      expect(await spent()).to.deep.equal([1, imports])
      expect(attempts(run).map(([attempt, remedy]) => [attempt, remedy])).to.deep.equal(
        remedies.map((remedy, at) => [at + 1, remedy]),
      )
      expect(proof.result).to.equal(kind === "drop-after" ? "proven" : "accepted")
      expect(importEvents(run).slice(3)).to.deep.equal(["import.intended", "import.done", "import.proven"])
    })
  }
})
