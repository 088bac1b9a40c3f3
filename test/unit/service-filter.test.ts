/** Filters of operators' lists: what they mean, and what is refused. */
import { describe, expect, test } from 'vitest'
import { allocationsAsked, sessionsAsked } from '../../src/service/convert/list-filter.js'

const NOTHING_ASKED = {
  scope: undefined,
  session: undefined,
  tenant: undefined,
  state: undefined,
  range: undefined,
  nothing: false,
}

describe('allocations', () => {
  test.each<[string, object]>([
    ['', {}],
    ['   ', {}],
    ['scope = HOST', { scope: 'HOST' }],
    ['scope=vf0', { scope: { device: 'vf0' } }],
    ['scope = "devices/vf0"', { scope: { device: 'vf0' } }],
    ['session = sessions/abc', { session: 'abc' }],
    ['session = abc AND tenant = tenants/t', { session: 'abc', tenant: 't' }],
    ['state = FREE_PENDING', { state: 'FREE_PENDING' }],
    ['pasid = 7', { range: { first: 7, last: 7 } }],
    ['pasid >= 7 AND pasid <= 9', { range: { first: 7, last: 9 } }],
    ['pasid>=7 AND pasid>=9', { range: { first: 9, last: 1_048_575 } }],
    ['state = IDLE AND state = IDLE', { state: 'IDLE' }],
    ['state = IDLE AND state = ACTIVE', { state: 'ACTIVE', nothing: true }],
    ['pasid >= 9 AND pasid <= 7', { nothing: true }],
    ['tenant = "a\\"b"', { tenant: 'a"b' }],
  ])('%s', (filter, expected) => {
    const asked = allocationsAsked(filter)
    if (!asked.ok) throw new Error(JSON.stringify(asked.refusal))
    expect(asked.value).toMatchObject({ ...NOTHING_ASKED, ...expected })
  })

  test.each([
    ['colour = red', /"colour" is no field .* scope, session, tenant, state, pasid/],
    ['__proto__ = 1', /no field/],
    ['state', /"nothing" after state/],
    ['state =', /no value/],
    ['state = "IDLE', /quote/],
    ['state > IDLE', /">" after state/],
    ['state <= IDLE', /"<=" after state/],
    ['state != IDLE', /"!=" after state/],
    ['state = IDLE OR state = ACTIVE', /"OR" where only AND/],
    ['state = IDLE AND', /nothing after AND/],
    ['state = IDLE state = IDLE', /only AND/],
    ['(state = IDLE)', /no field/],
    ['NOT state = IDLE', /no field/],
    ['state = BUSY', /no state; states are IDLE/],
    ['pasid = x', /not a number/],
    ['pasid = 1048576', /not a number/],
    ['pasid = -1', /not a number/],
    ['pasid = 1e3', /not a number/],
    [Array(17).fill('pasid = 7').join(' AND '), /more than 16/],
    ['x'.repeat(1025), /1025 characters/],
  ])('%s is refused', (filter, problem) => {
    const asked = allocationsAsked(filter)
    if (asked.ok) throw new Error('taken')
    expect(asked.refusal).toMatchObject({ code: 'FILTER_INVALID', filter })
    expect((asked.refusal as { problem: string }).problem).toMatch(problem)
  })
})

test('sessions know other fields', () => {
  expect(sessionsAsked('state = OPEN AND device = devices/nic0 AND tenant = t')).toEqual({
    ok: true,
    value: { tenant: 't', state: 'OPEN', device: 'nic0', nothing: false },
  })
  expect(sessionsAsked('pasid = 7').ok).toBe(false)
})
