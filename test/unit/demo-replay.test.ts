/** What the demo makes of descriptors, and the order in which it sends them. */
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Descriptor } from '../../demo/descriptors.js'
import { domainsOf, Plan, type Command } from '../../demo/plan.js'
import { replay, type Link } from '../../demo/replay.js'
import { Samples } from '../../demo/tally.js'

const WAIT: Descriptor = {
  kind: 'wait',
  statusWrite: true,
  fence: false,
  drainPageRequests: false,
}
const range = { address: 0x5000n, order: 2, leaf: true }
const cache = (domain: number): Descriptor => {
  return { kind: 'pasid-cache', granularity: 'pasid', domain, pasid: 0 }
}
const flush = (domain: number, pages?: typeof range): Descriptor => {
  return { kind: 'pasid-iotlb', domain, pasid: 0, range: pages }
}
const commandsOf = (...descriptors: Descriptor[]) => {
  const plan = new Plan()
  return descriptors.map((descriptor) => {
    const step = plan.next(descriptor)
    return step.kind === 'command' ? step.command : step.kind
  })
}

test('a PASID-cache invalidation binds, and replaces with another table from then on', () => {
  const [first, other, second] = commandsOf(cache(2), cache(3), cache(2)) as Command[]
  expect(first).toMatchObject({ verb: 'bind', domain: 2, replace: false })
  expect(other).toMatchObject({ verb: 'bind', domain: 3, replace: false })
  expect(second).toMatchObject({ verb: 'bind', domain: 2, replace: true })
  const tables = [first, other, second].map((one) => (one?.verb === 'bind' ? one.table : 0))
  expect(new Set(tables).size).toBe(3)
  expect(tables.every((table) => table > 0 && table % 4096 === 0)).toBe(true)
})

test('an IOTLB invalidation reaches its PASID, its addresses, or before a bind the domain', () => {
  const domains = { verb: 'invalidate', reach: 'domain', domains: [2] }
  expect(commandsOf(flush(2, range), cache(2), flush(2), flush(2, range))).toEqual([
    domains,
    expect.anything(),
    { verb: 'invalidate', reach: 'pasid', domain: 2 },
    { verb: 'invalidate', reach: 'addresses', domain: 2, range },
  ])
})

test('what knows no PASID goes by domain; what is global, by all that are bound', () => {
  const iotlb = { kind: 'iotlb', range: undefined } as const
  const reached = commandsOf(
    cache(2),
    cache(5),
    { kind: 'context-cache', granularity: 'device', domain: 0, source: 8 },
    { ...iotlb, granularity: 'domain', domain: 2 },
    { ...iotlb, granularity: 'global', domain: 0 },
    { kind: 'pasid-cache', granularity: 'domain', domain: 5, pasid: 0 },
    { kind: 'interrupt-entry', granularity: 'global' },
    WAIT,
  ).slice(2)
  const by = (...domains: number[]) => ({ verb: 'invalidate', reach: 'domain', domains })
  expect(reached).toEqual([by(0), by(2), by(2, 5), by(5), 'not-ours', 'wait'])
})

test('only domains that will be bound get a PASID', () => {
  expect(domainsOf([flush(9), cache(5), WAIT, cache(2), cache(5)])).toEqual([2, 5])
})

/** Answers when told to; remembers what was sent. */
class HeldLink implements Link {
  readonly sent: number[] = []
  readonly #answers: ((problem: string | undefined) => void)[] = []

  send(command: Command): Promise<string | undefined> {
    this.sent.push(command.verb === 'bind' ? command.domain : -1)
    return new Promise((resolve) => this.#answers.push(resolve))
  }

  async answer(index: number, problem?: string): Promise<void> {
    await turn()
    this.#answers[index]?.(problem)
    await turn()
  }
}

test('serial: what follows a wait is not sent before all that came before it is answered', async () => {
  const link = new HeldLink()
  const queue = [cache(1), cache(2), WAIT, cache(3), WAIT]
  const running = replay(queue, { link, mode: 'serial', inFlight: 64 })
  await link.answer(1)
  expect(link.sent).toEqual([1, 2])
  await link.answer(0)
  expect(link.sent).toEqual([1, 2, 3])
  await link.answer(2)
  const tally = await running
  expect([tally.of('wait', 'completed'), tally.of('pasid-cache', 'answered')]).toEqual([2, 3])
})

test('pipelined: sends on up to the bound; a wait is done when all before it is', async () => {
  const link = new HeldLink()
  const queue = [cache(1), WAIT, cache(2), WAIT, cache(3), WAIT, cache(4)]
  const ended: number[] = []
  const onProgress = (done: number) => ended.push(done)
  const running = replay(queue, { link, mode: 'pipelined', inFlight: 3, onProgress })
  await link.answer(2)
  expect(link.sent).toEqual([1, 2, 3, 4])
  await link.answer(1)
  await link.answer(3)
  await link.answer(0)
  const tally = await running
  expect([tally.of('wait', 'completed'), tally.ended]).toEqual([3, 7])
  expect(ended.at(-1)).toBe(7)
})

test('a refusal is counted and its words are kept', async () => {
  const link: Link = { send: () => Promise.resolve('NOT_BOUND') }
  const tally = await replay([cache(1), WAIT], { link, mode: 'serial', inFlight: 1 })
  expect([tally.total('refused'), tally.total('completed')]).toEqual([1, 1])
  expect(tally.refusals).toEqual(['bind: NOT_BOUND'])
})

test('a link that breaks is a refusal too, not a hang', async () => {
  const link: Link = { send: () => Promise.reject(new Error('gone')) }
  const tally = await replay([cache(1), WAIT], { link, mode: 'pipelined', inFlight: 1 })
  expect(tally.refusals).toEqual(['bind: Error: gone'])
})

test('percentiles are values that occurred: the least that the share does not pass', () => {
  const samples = new Samples()
  expect(samples.percentiles()).toBe(undefined)
  for (let i = 2000; i >= 1; i -= 1) samples.add(i)
  expect(samples.percentiles()).toEqual({
    count: 2000,
    p50Us: 1000,
    p90Us: 1800,
    p99Us: 1980,
    maxUs: 2000,
  })
})
