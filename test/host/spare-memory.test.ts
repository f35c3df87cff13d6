import { expect } from "chai"
import { spareMemory } from "#src/host/spare-memory.js"

describe("spareMemory", () => {
  it("gives back what is no longer used, and leaves no collector to others", async () => {
    const held = { objects: Array.from({ length: 2_000_000 }, (_, index) => ({ index })) }
    const before = process.memoryUsage()
    held.objects = []
    await spareMemory()
    const after = process.memoryUsage()
    expect(before.heapTotal - after.heapTotal).to.be.greaterThan(40_000_000)
    expect(before.rss - after.rss).to.be.greaterThan(40_000_000)
    expect(globalThis).to.not.have.property("gc")
  })
})
