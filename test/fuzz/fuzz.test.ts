import { expect } from "chai"
import { fuzzProcesses } from "../support/fuzz/processes.js"
import { fuzz } from "../support/fuzz/run.js"

/** Another one each time: a fault says by which seed it comes again. */
const SEED = Number(process.env["KEYFERRY_FUZZ_SEED"] ?? 20_261_128)
const COUNT = 1000

describe(`${COUNT} changed files and answers, seed ${SEED}`, () => {
  it("are refused by name, or mean what they say", async () => {
    const { refused, accepted, faults, counts } = await fuzz(SEED, 0, COUNT)
    expect(faults.map(({ number, subject, what, fault }) => `${number}: ${subject}, ${what}: ${fault}`)).to.deep.equal(
      [],
    )
    expect(refused).to.be.greaterThan(COUNT / 4)
    expect(accepted).to.be.greaterThan(COUNT / 20)
    // every one of them was read
    expect(counts.size).to.equal(24)
  })

  it("are so in processes of their own as well: five of them", async () => {
    const faults = await fuzzProcesses(SEED, 5)
    expect(faults).to.deep.equal([])
  })
})
