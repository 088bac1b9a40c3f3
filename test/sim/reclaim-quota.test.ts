/**
 * Many callers race at limits of several levels, round after round: in each exactly as many are
 * granted as there is room, never one over, never one short. QUOTA_ROUNDS=10000 is the full proof.
 */

import process from 'node:process'
import { afterAll, afterEach, expect, test } from 'vitest'
import { BrokerRig, removeFolders, tenant } from '../support/broker-rig.js'
import { seededChance } from '../support/broker-rig-load.js'
import { ACTOR, ok } from '../support/broker-rig-vm.js'

const ROUNDS = Number(process.env['QUOTA_ROUNDS'] ?? 500)
const SEED = Number(process.env['SEED'] ?? 64)
const CALLERS = 64
/** Of each of two tenants below one, and of both together. */
const EACH = 25
const BOTH = 40

let rig: BrokerRig | undefined

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})
afterAll(removeFolders)

test(`${CALLERS} callers, ${ROUNDS} rounds (SEED=${SEED})`, { timeout: 1_200_000 }, async () => {
  const below = { parent: 'default', maxPasids: EACH }
  const on = await BrokerRig.start({
    policy: { holdMs: 0 },
    tenants: [tenant('default', { maxPasids: BOTH }), tenant('a', below), tenant('b', below)],
  })
  rig = on
  const chance = seededChance(SEED)
  const vms = await Promise.all(
    Array.from({ length: CALLERS }, (_, i) => on.vm({ tenant: i % 2 === 0 ? 'a' : 'b' })),
  )
  const used = () =>
    ['default', 'a', 'b'].map((name) => on.broker.state.tenantByName.get(name)?.used)
  let contended = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    // Another limit in each, and another order of callers.
    const both = BOTH - chance(BOTH)
    const change = { maxPasids: both }
    const update = { tenant: 'default', change, etag: undefined, actor: ACTOR, reason: '' }
    ok(await on.broker.updateTenant({ ...update, validateOnly: false }))
    const order = vms.map((vm) => ({ vm, at: chance(1e6) })).sort((x, y) => x.at - y.at)
    const outcomes = await Promise.all(order.map(({ vm }) => vm.allocate()))
    const granted = outcomes.filter((outcome) => outcome.ok)
    contended += outcomes.length
    const [all, a = 0, b = 0] = used()
    expect(all).toBe(a + b)
    expect(granted).toHaveLength(a + b)
    // Exactly as much as the limits leave: both tenants have more callers than they may be given.
    expect(a + b).toBe(both)
    expect(Math.max(a, b)).toBeLessThanOrEqual(EACH)
    for (const outcome of outcomes) {
      if (!outcome.ok) expect(outcome.refusal.code).toBe('QUOTA_EXCEEDED')
    }
    await Promise.all(vms.map((vm) => vm.freeRange()))
    await on.settled()
    // What is released and on disk has rested long enough: no time at all.
    await on.broker.namespace({ kind: 'HOST' })
    expect(used()).toEqual([0, 0, 0])
  }
  expect(contended).toBe(ROUNDS * CALLERS)
  expect(await on.problems()).toEqual([])
})
