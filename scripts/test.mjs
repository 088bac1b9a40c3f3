/**
 * `npm test [-- vitest arguments]`: the set-up, then every project of the tier (`--tier NAME`,
 * default `test`), then one summary whose last line is `N passed, N failed`.
 */
import './setup/require-node.mjs'
import { printSummary, runVitest } from './lib/summary.mjs'
import { setup } from './setup.mjs'
import { TIERS } from './tiers.mjs'

const args = process.argv.slice(2)
const flag = args.indexOf('--tier')
const [, name] = flag === -1 ? ['--tier', 'test'] : args.splice(flag, 2)
const tier = TIERS[name]
if (tier === undefined) {
  process.stderr.write(
    `test: no tier ${String(name)}; there are ${Object.keys(TIERS).join(', ')}\n`,
  )
  process.exit(2)
}
await setup()
const { summary } = await runVitest({ ...tier, args })
printSummary(summary)
process.exitCode = summary.failed === 0 ? 0 : 1
