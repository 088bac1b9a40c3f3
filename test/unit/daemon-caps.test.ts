/** How many connections may be open, at the bound and one past it. */
import { describe, expect, test } from 'vitest'
import { ConnectionCaps, RESERVED_CONNECTIONS } from '../../src/daemon/connection-caps.js'

const USER = 1001
const OWN = 990

function caps(connections: number, connectionsPerUid: number): ConnectionCaps {
  return new ConnectionCaps({ connections, connectionsPerUid }, [0, OWN])
}

describe('the bounds', () => {
  test('on one socket: so many, and the reserve for root and our own user', () => {
    const { reached } = {
      reached: (uid: number, open: number) => caps(10, 100).reached(uid, { open, counted: true }),
    }
    expect([reached(USER, 9), reached(USER, 10)]).toEqual([undefined, 'SOCKET'])
    for (const uid of [0, OWN]) {
      const last = 10 + RESERVED_CONNECTIONS - 1
      expect([reached(uid, last), reached(uid, last + 1)]).toEqual([undefined, 'SOCKET'])
    }
  })
  test('of one user over all sockets, and of no other by that', () => {
    const all = caps(100, 3)
    for (let i = 0; i < 3; i++) {
      expect(all.reached(USER, { open: 0, counted: true })).toBeUndefined()
      all.enter(USER)
    }
    expect(all.reached(USER, { open: 0, counted: true })).toBe('USER')
    expect(all.reached(USER, { open: 0, counted: false })).toBeUndefined()
    expect(all.reached(USER + 1, { open: 0, counted: true })).toBeUndefined()
    all.leave(USER)
    expect(all.reached(USER, { open: 0, counted: true })).toBeUndefined()
  })
  test('our own probe gets in where VMMs of our own user have taken all', () => {
    const all = caps(100, 3)
    for (let i = 0; i < 3 + RESERVED_CONNECTIONS - 1; i++) all.enter(OWN)
    expect(all.reached(OWN, { open: 0, counted: true })).toBeUndefined()
    all.enter(OWN)
    expect(all.reached(OWN, { open: 0, counted: true })).toBe('USER')
  })
  test('nobody leaves who has not entered', () => {
    expect(() => caps(1, 1).leave(USER)).toThrow('a user whose connection entered')
  })
})
