/** Page tokens, session tokens and request keys. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fields } from '../../src/service/convert/fields.js'
import { requestKey } from '../../src/service/convert/request-key.js'
import { PageTokens } from '../../src/service/page-tokens.js'
import { tokenHash, TokenMaker } from '../../src/service/tokens.js'

const SECRET = Buffer.alloc(32, 7)
const LIST = { method: 'ListPasids', fields: ['vm'] }

describe('page tokens', () => {
  const tokens = new PageTokens(SECRET)
  const token = tokens.make(LIST, '0:77')

  test('give their position back, also after a restart with the same secret', () => {
    expect(tokens.read(LIST, token)).toEqual({ ok: true, value: '0:77' })
    expect(new PageTokens(SECRET).read(LIST, token)).toEqual({ ok: true, value: '0:77' })
  })

  test('none is the first page, and no next page is none', () => {
    expect(tokens.read(LIST, '')).toEqual({ ok: true, value: undefined })
    expect(tokens.make(LIST, undefined)).toBe('')
  })

  test.each([
    ['another list', { ...LIST, method: 'ListAllocations' }],
    ['another field', { ...LIST, fields: ['other'] }],
    ['more fields', { ...LIST, fields: ['vm', ''] }],
    ['fields joined otherwise', { method: 'ListPasids', fields: ['v', 'm'] }],
  ])('are no good for %s', (_name, list) => {
    expect(tokens.read(list, token)).toMatchObject({ refusal: { code: 'PAGE_TOKEN_INVALID' } })
  })

  test('are no good from another ledger', () => {
    expect(new PageTokens(Buffer.alloc(32, 8)).read(LIST, token).ok).toBe(false)
  })

  test('any change of a character is noticed', () => {
    for (let i = 0; i < token.length; i += 1) {
      const other = token.charAt(i) === 'A' ? 'B' : 'A'
      expect(tokens.read(LIST, token.slice(0, i) + other + token.slice(i + 1)).ok).toBe(false)
    }
  })

  test('made-up ones are refused, whatever they are', () => {
    const property = fc.property(fc.string({ minLength: 1, maxLength: 400 }), (text) => {
      expect(tokens.read(LIST, text).ok).toBe(false)
    })
    fc.assert(property, { numRuns: 500, seed: 42 })
    for (const text of [`${token}=`, ` ${token}`, `${token}A`, token.slice(0, -1)]) {
      expect(tokens.read(LIST, text).ok).toBe(false)
    }
  })
})

function keyOf(requestId: string, command: object) {
  const fields = new Fields()
  const key = requestKey(fields, requestId, command)
  return fields.answer(key)
}

const ID = '0190b6c2-7a5e-7cc0-98c4-dc0c0c07398f'

describe('request keys', () => {
  test('are the same for the same id in either case, and the same arguments', () => {
    expect(keyOf(ID, { a: 1 })).toEqual(keyOf(ID.toUpperCase(), { a: 1 }))
  })

  test('other arguments change the fingerprint only, other ids the id only', () => {
    const [one, other] = [keyOf(ID, { a: 1 }), keyOf(ID, { a: 2 })]
    const third = keyOf(ID.replace('0', '1'), { a: 1 })
    if (!one.ok || !other.ok || !third.ok) throw new Error('refused')
    expect(one.value?.idLow).toBe(other.value?.idLow)
    expect(one.value?.fingerprintLow).not.toBe(other.value?.fingerprintLow)
    expect(one.value?.idLow).not.toBe(third.value?.idLow)
    expect(one.value?.fingerprintHigh).toBe(third.value?.fingerprintHigh)
  })

  test('no id is no key', () => {
    expect(keyOf('', {})).toEqual({ ok: true, value: undefined })
  })

  test.each(['x', `{${ID}}`, ID.replaceAll('-', ''), `${ID} `, ID.replace('0', 'g')])(
    '%s is no UUID',
    (text) => {
      expect(keyOf(text, {})).toMatchObject({ refusal: { field: 'request_id' } })
    },
  )
})

describe('session tokens', () => {
  let next = 0
  const chance = { bytes: (count: number) => Buffer.alloc(count, next++) }
  const maker = new TokenMaker(SECRET, chance)
  const key = (id: string, command: object) => {
    const made = keyOf(id, command)
    if (!made.ok || made.value === undefined) throw new Error('no key')
    return made.value
  }

  test('without a request id are fresh, with 256 bits in 43 characters', () => {
    const [one, other] = [maker.token('t', undefined), maker.token('t', undefined)]
    expect(one).not.toBe(other)
    for (const token of [one, other]) expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  test('with a request id are the same for tenant, id, arguments and secret, else others', () => {
    const token = maker.token('t', key(ID, { a: 1 }))
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(new TokenMaker(SECRET, chance).token('t', key(ID, { a: 1 }))).toBe(token)
    const others = [
      maker.token('u', key(ID, { a: 1 })),
      maker.token('t', key(ID, { a: 2 })),
      maker.token('t', key(ID.replace('0', '1'), { a: 1 })),
      new TokenMaker(Buffer.alloc(32, 8), chance).token('t', key(ID, { a: 1 })),
    ]
    expect(new Set([token, ...others]).size).toBe(5)
  })

  test('names of sessions are 16 characters a-z and 2-7', () => {
    expect(maker.sessionName()).toMatch(/^[a-z2-7]{16}$/)
  })

  test('only a hash is kept', () => {
    expect(tokenHash('t')).toMatch(/^[0-9a-f]{64}$/)
  })
})
