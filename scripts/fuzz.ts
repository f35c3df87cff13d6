/**
 * `npm run fuzz [-- --seed N] [-- --count N] [-- --from N]`: changes every file that comes in, and every answer of KMS, at
 * random, and has the built program read it. What is read must be refused by name, or mean what it says. Status 1 where
 * something is not.
 */
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { fuzzProcesses } from "#test/support/fuzz/processes.js"
import { fuzz } from "#test/support/fuzz/run.js"

/** Of so many mutants one more is read by the built command in a process of its own. */
const EACH_PROCESS = 200

const { values } = parseArgs({
  options: { seed: { type: "string" }, count: { type: "string" }, from: { type: "string" } },
})
const seed = Number(values.seed ?? randomInt(2 ** 31))
const from = Number(values.from ?? 0)
const count = Number(values.count ?? 10_000)
const write = (text: string): void => void process.stdout.write(`${text}\n`)

write(`seed ${seed}, ${count} mutants from ${from}`)
const start = performance.now()
const { refused, accepted, faults, maxRssMb, counts } = await fuzz(seed, from, from + count)
const processes = Math.ceil(count / EACH_PROCESS)
const ofProcesses = await fuzzProcesses(seed, processes)
for (const { number, subject, what, fault } of ofProcesses) write(`process ${number}: ${subject}, ${what}: ${fault}`)
for (const { number, subject, what, fault } of faults) {
  write(`--seed ${seed} --from ${number} --count 1: ${subject}, ${what}: ${fault}`)
}
for (const [subject, number] of [...counts].sort()) write(`${number.toString().padStart(6)}  ${subject}`)
write(
  `seed ${seed}: ${refused} refused, ${accepted} accepted and mean what they say, ${processes} more in processes of ` +
    `their own, ${faults.length + ofProcesses.length} faults; ` +
    `${Math.round(maxRssMb)} MB, ${Math.round((performance.now() - start) / 1000)} s`,
)
process.exitCode = faults.length + ofProcesses.length === 0 ? 0 : 1
