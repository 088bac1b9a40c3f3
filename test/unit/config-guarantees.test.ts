/**
 * Guarantees that cannot be kept are refused; those that count numbers but not places are warned
 * of.
 */
import { describe, expect, test } from 'vitest'
import { dumpConfig } from '../../src/daemon/config/dump.js'
import { configOf, problemsOf, warningsOf } from '../support/config-reading.js'

/** Numbers of HOST scope but for the default reservation, 1 to 255. */
const USABLE = 1_048_320

/** One tenant with a socket; the other keys as given. */
function tenant(name: string, keys: string): string {
  return `[[tenant]]\nname = "${name}"\nsocket = "/srv/${name}/s"\n${keys}\n`
}

function child(parent: string, name: string, guaranteed: number): string {
  return tenant(name, `parent = "${parent}"\nguaranteed_pasids = ${guaranteed}`)
}

test('a guarantee takes effect, and reads back from the dump', () => {
  const config = configOf(tenant('a', 'guaranteed_pasids = 500'))
  const guarantees = config.policy.tenants.map((one) => one.guaranteedPasids)
  expect(guarantees).toEqual([undefined, 500])
  expect(configOf(dumpConfig(config)).policy.tenants).toMatchObject([{}, { guaranteedPasids: 500 }])
})

test.each(['-1', '4294967296', '"5"', '1.5'])('guaranteed_pasids = %s', (value) => {
  expect(problemsOf(tenant('a', `guaranteed_pasids = ${value}`))).toEqual([
    expect.stringMatching(
      /^f\.toml:4: tenant\[0\]\.guaranteed_pasids: is .*, must be a whole number from 0 to 4294967295; leave it out for none$/,
    ),
  ])
})

describe('limits', () => {
  test('its own', () => {
    expect(problemsOf(tenant('a', 'max_pasids = 10\nguaranteed_pasids = 10'))).toEqual([])
    expect(problemsOf(tenant('a', 'max_pasids = 10\nguaranteed_pasids = 11'))).toEqual([
      'f.toml:5: tenant[0].guaranteed_pasids: is 11, must be at most its max_pasids, which is 10',
    ])
  })
  test('of the parent, for its children together', () => {
    const text = (second: number) =>
      `${tenant('p', 'max_pasids = 10')}${child('p', 'a', 6)}${child('p', 'b', second)}`
    expect(problemsOf(text(4))).toEqual([])
    expect(problemsOf(text(5))).toEqual([
      'f.toml:4: tenant[0].max_pasids: is 10, but those below it are guaranteed 11 together; raise it, or lower guaranteed_pasids',
    ])
  })
  test('the nearest above, where the parent has none', () => {
    const text = (second: number) =>
      tenant('top', 'max_pasids = 10') +
      tenant('mid', 'parent = "top"') +
      child('mid', 'a', 6) +
      child('top', 'b', second)
    expect(problemsOf(text(4))).toEqual([])
    expect(problemsOf(text(5))).toEqual([
      expect.stringMatching(/tenant\[0\]\.max_pasids: is 10, but .* guaranteed 11 together/),
    ])
  })
  test('a guarantee is not added to that of those below it: it is theirs', () => {
    const text = (guaranteed: number) =>
      tenant('top', 'max_pasids = 10') + child('top', 'mid', guaranteed) + child('mid', 'a', 6)
    expect(problemsOf(text(10))).toEqual([])
    expect(problemsOf(text(11))).toHaveLength(1)
  })
  test('what is too much at one level is told there, and not again above', () => {
    const text =
      tenant('top', 'max_pasids = 15') +
      tenant('mid', 'parent = "top"\nmax_pasids = 10') +
      child('mid', 'a', 20)
    expect(problemsOf(text)).toEqual([expect.stringMatching(/tenant\[1\]\.max_pasids: is 10, but/)])
  })
  test('of the namespace', () => {
    const text = (limit: number) =>
      `${tenant('a', 'guaranteed_pasids = 6')}${tenant('b', 'guaranteed_pasids = 5')}[namespace]\nmax_pasids = ${limit}`
    expect(problemsOf(text(11))).toEqual([])
    expect(problemsOf(text(10))).toEqual([
      'f.toml:10: namespace.max_pasids: is 10, but tenants are guaranteed 11 together; raise it, or lower guaranteed_pasids',
    ])
  })
  test('numbers that are not reserved', () => {
    const text = (count: number) =>
      `${tenant('a', `guaranteed_pasids = ${count}`)}${tenant('b', 'guaranteed_pasids = 1')}`
    expect(problemsOf(text(USABLE - 1))).toEqual([])
    expect(problemsOf(text(USABLE))).toEqual([
      `f.toml:4: tenant[0].guaranteed_pasids: tenants are guaranteed ${USABLE + 1} together, but only ${USABLE} numbers of HOST scope are not reserved; reserve less, or lower guaranteed_pasids`,
    ])
    const free = '[namespace]\nreservations = []'
    expect(problemsOf(`${text(USABLE)}${free}`)).toEqual([])
  })
})

describe('windows', () => {
  const windowed = (count: number, last: number) =>
    tenant('a', `guaranteed_pasids = ${count}\nwindow = { first = 201, last = ${last} }`)

  test('a guarantee inside one that is smaller, without what is reserved', () => {
    expect(problemsOf(windowed(45, 300))).toEqual([])
    expect(problemsOf(windowed(46, 300))).toEqual([
      'f.toml:5: tenant[0].window: leaves 201 to 300, 45 numbers that are not reserved, but 46 are guaranteed in it; widen it, or lower guaranteed_pasids',
    ])
  })
  test('narrowed by the one above', () => {
    const text = (count: number) =>
      tenant('p', 'window = { first = 1, last = 1009 }') +
      tenant(
        'a',
        `parent = "p"\nguaranteed_pasids = ${count}\nwindow = { first = 1000, last = 2000 }`,
      )
    expect(problemsOf(text(10))).toEqual([])
    expect(problemsOf(text(11))).toEqual([
      expect.stringMatching(/tenant\[1\]\.window: leaves 1000 to 1009, 10 numbers/),
    ])
  })
  test('those below it share it', () => {
    const text = (count: number) =>
      tenant('p', 'window = { first = 1000, last = 1009 }') +
      child('p', 'a', 6) +
      child('p', 'b', count)
    expect(problemsOf(text(4))).toEqual([])
    expect(problemsOf(text(5))).toEqual([
      expect.stringMatching(/tenant\[0\]\.window: leaves .* but 11 are guaranteed in it/),
    ])
  })
  test('a wrong tree is told by itself', () => {
    const circle = '[[tenant]]\nname="a"\nparent="b"\nguaranteed_pasids=9\nmax_pasids=1\n'
    const problems = problemsOf(`${circle}[[tenant]]\nname="b"\nparent="a"`)
    expect(problems).toHaveLength(2)
    expect(problems.join()).not.toContain('guaranteed')
  })
})

describe('a window that others use as well', () => {
  const DENIED = '[[tenant]]\nname = "default"\nmax_pasids = 0\n'
  const A = tenant('a', 'guaranteed_pasids = 9\nwindow = { first = 1000, last = 1999 }')
  const warning = (other: string) => [
    `tenant[0].guaranteed_pasids: counts numbers, not places: tenant "${other}" can be given numbers of the window 1000 to 1999 as well; give it a window apart`,
  ]

  test('the default tenant, unless it is denied', () => {
    expect(warningsOf(A)).toEqual(warning('default'))
    expect(warningsOf(`${A}${DENIED}`)).toEqual([])
    expect(warningsOf(`${A}${DENIED.replace('max_pasids', 'max_sessions')}`)).toEqual([])
    expect(warningsOf(`${A}${DENIED.replace('max_pasids', 'session_max_pasids')}`)).toEqual([])
  })
  test('the default tenant, unless no caller is it', () => {
    expect(warningsOf(`${A}[[identity.rule]]\ntenant = "a"`)).toEqual([])
    expect(
      warningsOf(`${A}[[identity.rule]]\nrole = "delegate"\ntenants = ["a", "default"]`),
    ).toEqual(warning('default'))
  })
  test('another tenant whose window overlaps', () => {
    const other = (first: number) => tenant('b', `window = { first = ${first}, last = 5000 }`)
    expect(warningsOf(`${A}${DENIED}${other(1999)}`)).toEqual(warning('b'))
    expect(warningsOf(`${A}${DENIED}${other(2000)}`)).toEqual([])
  })
  test('not those below it, for whom the guarantee is', () => {
    expect(warningsOf(`${A}${DENIED}${tenant('b', 'parent = "a"')}`)).toEqual([])
  })
  test('a window that comes from above, with a sibling in it', () => {
    const above = '[[tenant]]\nname = "p"\nwindow = { first = 1000, last = 1999 }\n'
    const text = `${child('p', 'a', 9)}${above}${DENIED}`
    expect(warningsOf(text)).toEqual([])
    expect(warningsOf(`${text}${tenant('b', 'parent = "p"')}`)).toEqual(warning('b'))
  })
  test('without any window there is no place to lose', () => {
    expect(warningsOf(tenant('a', 'guaranteed_pasids = 9'))).toEqual([])
  })
})
