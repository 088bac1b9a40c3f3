/**
 * What every cell of the adversarial matrix is judged by: its reason, that its refusal tells no
 * more of what is there than of what is not, and that the operator sees all as it was, to the
 * letter.
 */
import process from 'node:process'
import { expect } from 'vitest'
import type { Answer } from './adversary-agents.js'
import { World } from './adversary-world.js'
import { stopAll } from './daemon.js'

export const ROOT_ONLY = 'only root can become other users'
export const IS_ROOT = process.getuid?.() === 0
/** As good a name as any, of nothing. */
export const NO_SESSION = 'sessions/aaaaaaaaaaaaaaaa'

/** What came of a call, in one line; what it names is left out, so that two can be compared. */
export function shapeOf(answer: Answer, named: readonly (string | number)[] = []): string {
  const { ok: _ok, ...told } = answer
  let text = JSON.stringify(told)
  for (const what of named) text = text.replaceAll(new RegExp(`\\b${what}\\b`, 'g'), '*')
  return text
}

export function reasonOf(answer: Answer | undefined): string {
  if (answer === undefined) return 'no answer'
  return answer.ok ? `OK ${JSON.stringify(answer.value)}` : answer.reason || `code ${answer.code}`
}

export class Judge {
  cells = 0
  readonly #tested: Record<string, number> = {}
  #world: World | undefined

  get world(): World {
    if (this.#world === undefined) throw new Error('start() comes first')
    return this.#world
  }

  /** Without root there is nothing to start; each test says so itself. */
  async start(): Promise<void> {
    if (IS_ROOT) this.#world = await World.start()
  }

  /** Runs the cells, and holds the whole state against what it was. */
  async unchanged(what: string, run: () => Promise<string[]>): Promise<void> {
    // What an earlier test has given back is not to go free in the middle of this one.
    await expect.poll(() => this.world.changing()).toEqual([])
    const before = await this.world.everything()
    const from = this.cells
    const wrong = await run()
    this.#tested[what] = (this.#tested[what] ?? 0) + this.cells - from
    expect(wrong).toEqual([])
    expect(await this.world.everything()).toBe(before)
  }

  /** Nothing of it was a bug, and the daemon agrees with itself. */
  async judgeEnd(): Promise<void> {
    const { operator, daemon } = this.world
    expect(await operator.check(30_000)).toMatchObject({ consistent: true, problems: [] })
    expect(daemon.output).not.toMatch('incident')
  }

  async stop(name: string): Promise<void> {
    if (this.#world === undefined) return
    process.stdout.write(`${name}: ${this.cells} cells: ${JSON.stringify(this.#tested)}\n`)
    await this.#world.stop()
    await stopAll()
  }
}
