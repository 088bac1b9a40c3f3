/**
 * `npm run check`: everything that is quick and certain, in about two minutes. Steps run two at a
 * time; one that fails shows its output, and the last line names all that failed. `--fix` formats
 * and lints first.
 */
import './setup/require-node.mjs'
import { countLine, runVitest } from './lib/summary.mjs'
import { setup } from './setup.mjs'
import { run } from './setup/child.mjs'
import { at, filesBelow } from './setup/paths.mjs'
import { TIERS } from './tiers.mjs'

// `npm test` does a million random operations against the model; a check before a commit a part.
process.env.OPS ??= '200000'

const AT_ONCE = 2
const STEP_TIMEOUT_MS = 300_000

const bin = (name) => at('node_modules/.bin', name)

/**
 * Name -> what to run, the slow ones first. The descriptors and lint of proto/ need it to be there.
 */
function steps() {
  const hasProto = filesBelow('proto', ['.proto']).length > 0
  return [
    { name: 'lint', command: [bin('eslint'), '.', '--max-warnings=0'] },
    { name: 'types', command: [bin('tsc'), '-p', 'tsconfig.check.json'] },
    { name: 'tests', vitest: TIERS.quick },
    { name: 'unused code', command: [bin('knip')] },
    { name: 'format', command: [bin('biome'), 'format', '.', '--colors=off'] },
    ...(hasProto ? [{ name: 'proto lint', command: [bin('buf'), 'lint'] }] : []),
    { name: 'generated', command: [process.execPath, at('scripts/generate.mjs'), '--check'] },
  ]
}

async function runStep({ command, vitest }) {
  if (vitest !== undefined) {
    const { summary, output } = await runVitest({ ...vitest, inherit: false })
    const failures = summary.failures.map((name) => `failed: ${name}\n`).join('')
    return { ok: summary.failed === 0, output: output + failures, note: countLine(summary) }
  }
  const [program, ...args] = command
  const done = await run(program, args, { cwd: at('.'), timeoutMs: STEP_TIMEOUT_MS })
  return { ok: done.code === 0, output: done.output, note: done.timedOut ? 'took too long' : '' }
}

/** One worker takes steps from the queue until it is empty; answers with the names that failed. */
async function work(queue) {
  const failed = []
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    const started = Date.now()
    const { ok, output, note } = await runStep(step)
    const took = `${((Date.now() - started) / 1000).toFixed(1)} s`
    const line = `${ok ? 'ok    ' : 'FAILED'} ${step.name.padEnd(12)} ${took} ${note}`.trimEnd()
    process.stdout.write(ok ? `${line}\n` : `\n${output.trimEnd()}\n${line}\n\n`)
    if (!ok) failed.push(step.name)
  }
  return failed
}

await setup({ compiled: false })
if (process.argv.includes('--fix')) {
  await run(bin('eslint'), ['.', '--fix'], { cwd: at('.'), inherit: true })
  await run(bin('biome'), ['format', '--write', '.'], { cwd: at('.'), inherit: true })
}
const started = Date.now()
const queue = steps()
const failed = (await Promise.all(Array.from({ length: AT_ONCE }, () => work(queue)))).flat()
const took = `${((Date.now() - started) / 1000).toFixed(0)} s`
if (failed.length > 0) process.stdout.write(`check failed (${took}): ${failed.join(', ')}\n`)
else process.stdout.write(`check passed (${took})\n`)
process.exitCode = failed.length === 0 ? 0 : 1
