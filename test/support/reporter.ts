import Mocha from "mocha"

/** Mocha's spec reporter, then the count once more in the plain form that any reader of the log understands. */
export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    // registered after Spec's own epilogue, so it prints last
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures } = runner.stats ?? { passes: 0, failures: 0 }
      process.stdout.write(`${passes} passed, ${failures} failed\n`)
    })
  }
}
