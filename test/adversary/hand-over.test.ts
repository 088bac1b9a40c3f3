/**
 * Devices that are handed over to a daemon with devices of the host, by everybody who must not: every
 * wrong descriptor and text on the side socket, tokens of another user, of another process of the
 * same user, of a dead one, of another kind, spent ones, and as many as there may be and one more. No
 * cell reaches another's session, none is a bug of the daemon's, and its descriptors are counted.
 *
 * /dev/null stands for /dev/iommu and /dev/zero for a device, so what a real kernel says to a device
 * that is bound already, that came from a group, or that vanishes, is with the tests in a guest:
 * test/kernel/rig/scenario-hostile.ts.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  HAND_OVERS_MAX,
  HAND_OVERS_PER_PROCESS_MAX,
  HAND_OVERS_PER_USER_MAX,
} from '../../src/daemon/hand-over-tokens.js'
import type { Answer, ControlAnswers } from '../support/adversary-agents.js'
import { IS_ROOT, reasonOf, ROOT_ONLY } from '../support/adversary-judge.js'
import {
  FILES,
  FIRST_DEVICE,
  FLOODERS,
  type NativeName,
  NativeWorld,
  SECOND_DEVICE,
  UIDS,
} from '../support/adversary-native-world.js'
import { methodOf, VERBS } from '../support/adversary-verbs.js'
import { NOTHING } from '../support/adversary-world.js'
import { stopAll } from '../support/daemon.js'

const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0
const NO_PYTHON = 'there is no python3'
const HELPERS = path.resolve(import.meta.dirname, '../helpers')
const ROUNDS = 3
const ATTACH = 'PasidBroker/AttachDevice'
const INVALID = 'HAND_OVER_TOKEN_INVALID'
/** google.rpc.Code. */
const INTERNAL = 13

let world: NativeWorld
let children: ChildProcess[] = []
let cells = 0

beforeAll(async () => {
  if (!IS_ROOT) return
  world = await NativeWorld.start()
  await world.populate()
})
afterAll(async () => {
  if (!IS_ROOT) return
  process.stdout.write(`hand-over: ${cells} cells\n`)
  await world.stop()
  await stopAll()
})
beforeEach((ctx) => ctx.skip(!IS_ROOT, ROOT_ONLY))
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children = []
})

/** The helper's last line; it waits then. */
async function helper(name: string, args: readonly (string | number)[]): Promise<unknown> {
  const file = path.join(HELPERS, name)
  const child = spawn('python3', [file, world.fdSocket, ...args.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += String(chunk)))
  await expect.poll(() => said.endsWith('\n'), { timeout: 120_000 }).toBe(true)
  return JSON.parse(said)
}

/** Runs the cells: nothing that anybody has is another then, and nothing stays open. */
async function unchanged(run: () => Promise<void>): Promise<void> {
  const [before, fds] = [await world.everything(), world.fdsOpen()]
  await run()
  expect(await world.everything()).toBe(before)
  await expect.poll(() => world.fdsOpen()).toBe(fds)
  expect(world.daemon.isRunning).toBe(true)
  expect(world.daemon.output).not.toMatch('incident')
}

/** How many descriptors the daemon has of the files that stand for an iommufd and a device. */
function filesOpen(): number {
  const folder = `/proc/${world.daemon.pid}/fd`
  const opened = fs.readdirSync(folder).map((fd) => {
    try {
      return fs.readlinkSync(path.join(folder, fd))
    } catch {
      return 'closed meanwhile'
    }
  })
  return opened.filter((file) => FILES.some((one) => one === file)).length
}

/** In a session of one's own: by a call, and on a stream. */
async function attach(who: NativeName, token: string, more: object = {}): Promise<string> {
  cells += 2
  const { name: session, token: secret } = world.secret(who)
  const device = who === 'stranger' ? SECOND_DEVICE : FIRST_DEVICE
  const message = { device, handOver: { token, ioas: { ioasId: 1 } }, ...more }
  const unary = await world.call(who, ATTACH, { session, ...message }, secret)
  const socket = world.daemon.vmmSocket
  const asked = { socket, session, token: secret, commands: [['attachDevice', message]] }
  const { answers } = await world.agent(who).ask<ControlAnswers>('control', asked)
  const reasons = new Set([unary, ...answers].map(judged))
  return [...reasons].join()
}

function judged(answer: Answer): string {
  if (!answer.ok) expect(answer.code, answer.message).not.toBe(INTERNAL)
  return reasonOf(answer)
}

/** What is said to what comes first, second, and twice. */
const FIRST = /^refused the first descriptor is .+, and not \/dev\/iommu; send /
const SECOND = /^refused the second descriptor is .+, and not a device of VFIO’s; (send|open) /
const CUT = /^refused (the message was cut off|descriptors that you sent before are)/
const TEXT = /^refused the text is neither "pidfd" nor "memory" nor "vfio"; send /
const ANSWERS: readonly (readonly [RegExp, RegExp])[] = [
  [/, first$|, twice$/, FIRST],
  [/, second$/, SECOND],
  // Its number cannot be sent.
  [/^closed$/, /^EBADF$/],
  [/^the wrong order$/, /^refused the two are in the wrong order; send /],
  [/^two iommufds$/, /^refused the second descriptor is \/dev\/iommu, and not a device/],
  [/^two devices$/, /^refused the first descriptor is \/dev\/vfio\/devices\/vfio0, and not/],
  [/^none$/, /^refused no descriptor came with it; send two/],
  [/^(one|three|four)$/, /^refused [134] descriptors? came with it; send two/],
  [/^(five|the most there may be|too much|far too much)$/, CUT],
  // No message is empty: it is the end of the connection.
  [/^nothing$/, /^$/],
  [/^(garbage|no UTF-8|another word)$/, TEXT],
  [/^(a device|itself)$/, /^token$/],
]

describe('on the side socket', () => {
  beforeEach((ctx) => ctx.skip(!HAS_PYTHON, NO_PYTHON))

  test('every wrong descriptor, number of descriptors and text is refused and closed', async () => {
    await unchanged(async () => {
      const said = await helper('adversary-side.py', [ROUNDS, 'vfio', UIDS.victim])
      const { answers, token } = said as { answers: Record<string, string[]>; token: string }
      for (const [name, texts] of Object.entries(answers)) {
        cells += ROUNDS
        const expected = ANSWERS.find(([names]) => names.test(name))?.[1]
        if (expected === undefined) throw new Error(`a case that nothing is known of: ${name}`)
        for (const text of texts) expect(text, name).toMatch(expected)
      }
      expect(Object.keys(answers).length).toBeGreaterThan(60)
      // Its process lives, and is of the victim's user; the victim is another.
      expect(await attach('victim', token)).toBe(INVALID)
      for (const child of children) child.kill('SIGKILL')
    })
  })

  test('as many as there may be of a process, of a user and of all, and one more', async () => {
    const processes = HAND_OVERS_PER_USER_MAX / HAND_OVERS_PER_PROCESS_MAX
    expect((FLOODERS.length - 1) * HAND_OVERS_PER_USER_MAX).toBe(HAND_OVERS_MAX)
    await unchanged(async () => {
      const args = [HAND_OVERS_PER_PROCESS_MAX, processes, ...FLOODERS]
      const said = await helper('adversary-flood.py', args)
      cells += HAND_OVERS_MAX + 2 + processes * (FLOODERS.length - 1)
      // One more of a process or of a user takes the place of one of its own; one of a user who has
      // none, that of one of the user who has the most.
      expect(said).toEqual([['token'], ['token'], ['token'], ['token']])
      expect(await world.call('victim', 'PasidBroker/GetServerInfo', {})).toMatchObject({
        ok: true,
      })
      // Who has ended keeps no place.
      for (const child of children) child.kill('SIGKILL')
      let token = ''
      const hasRoom = async () => {
        token = await world.deviceToken('stranger').catch(() => '')
        return token !== ''
      }
      await expect.poll(hasRoom).toBe(true)
      expect(await attach('stranger', token)).toBe(`HAND_OVER_REFUSED,${INVALID}`)
    })
  })
})

describe('a token', () => {
  test('of another user, or of another process of the same, attaches nothing', async () => {
    const token = await world.deviceToken('victim')
    await unchanged(async () => {
      for (const who of ['sibling', 'colleague', 'stranger', 'delegate'] as const) {
        expect(await attach(who, token), who).toBe(INVALID)
      }
      // In the victim's own session, with all of its secrets.
      const { name: session, token: secret } = world.secret('victim')
      const handOver = { token, ioas: { ioasId: 1 } }
      const message = { session, device: FIRST_DEVICE, handOver }
      const table = [
        ['child', 'NOT_OWNER'],
        ['sibling', 'NOT_OWNER'],
        ['colleague', 'NOT_OWNER'],
        ['delegate', 'NOT_OWNER'],
        ['stranger', 'SESSION_NOT_FOUND'],
        ['nobody', 'IDENTITY_REFUSED'],
      ] as const
      for (const [who, reason] of table) {
        cells += 1
        expect(judged(await world.call(who, ATTACH, message, secret)), who).toBe(reason)
      }
      // A device of another tenant's, which it does not even see.
      expect(await attach('stranger', token, { device: FIRST_DEVICE })).toBe('DEVICE_NOT_FOUND')
      expect(await attach('victim', token, { device: SECOND_DEVICE })).toBe('DEVICE_NOT_FOUND')
    })
    // Nothing of that has spent it: here it goes to the kernel, whose no is final.
    const fds = world.fdsOpen()
    expect(await attach('victim', token)).toBe(`HAND_OVER_REFUSED,${INVALID}`)
    await expect.poll(() => world.fdsOpen()).toBe(fds - 2)
  })

  test('of an owner is no use to its delegate, nor a delegate’s to the owner of another', async () => {
    const [owners, delegates] = [
      await world.deviceToken('victim'),
      await world.deviceToken('delegate'),
    ]
    expect(await attach('delegate', owners)).toBe(INVALID)
    expect(await attach('victim', delegates)).toBe(INVALID)
    expect(await attach('delegate', delegates)).toBe(`HAND_OVER_REFUSED,${INVALID}`)
    expect(await attach('victim', owners)).toBe(`HAND_OVER_REFUSED,${INVALID}`)
  })

  test('of one kind is none of another', async () => {
    const { fdSocket: socket } = world
    const pid = world.sleepers.start()
    const delegate = world.agent('delegate')
    const ofOwner = (await delegate.ask<string>('handOver', { socket, pid })).slice(6)
    const ofDevice = await world.deviceToken('delegate')
    expect(await attach('delegate', ofOwner)).toBe(INVALID)
    expect(await attach('delegate', '0'.repeat(64))).toBe(INVALID)
    const opening = { ownerToken: ofDevice, tenant: 'tenants/alpha' }
    const open = 'PasidBroker/OpenSession'
    expect(judged(await world.call('delegate', open, opening))).toBe('OWNER_TOKEN_INVALID')
    expect(await attach('delegate', ofDevice)).toBe(`HAND_OVER_REFUSED,${INVALID}`)
    const again = { ...opening, ownerToken: ofOwner }
    const opened = await world.agent('delegate').must(world.daemon.vmmSocket, open, again)
    const { name } = opened['session'] as { name: string }
    const close = 'PasidBroker/CloseSession'
    await delegate.must(world.daemon.vmmSocket, close, { name }, String(opened['token']))
    cells += 3
  })

  test('of a VMM that has died is gone with it, and what it stood for is closed', async () => {
    const files = filesOpen()
    const mortal = world.agent('mortal')
    const token = await world.deviceToken('mortal')
    expect(filesOpen()).toBe(files + FILES.length)
    process.kill(mortal.pid, 'SIGKILL')
    await mortal.ended
    // Its connections go too: what it handed over is counted by itself.
    await expect.poll(filesOpen).toBe(files)
    expect(await attach('sibling', token)).toBe(INVALID)
    expect(await attach('victim', token)).toBe(INVALID)
  })
})

test('every verb on another’s session, on a daemon with devices of the host', async () => {
  const { name, token } = world.secret('victim')
  const natives = ['MapGuestMemory', 'UnmapGuestMemory', 'Ioctl', 'CloseContainer']
  await unchanged(async () => {
    for (const [who, reason] of [
      ['stranger', 'SESSION_NOT_FOUND'],
      ['sibling', 'NOT_OWNER'],
      ['child', 'NOT_OWNER'],
      ['delegate', 'NOT_OWNER'],
    ] as const) {
      for (const { verb, field, of } of VERBS) {
        cells += 1
        const message = { ...of(NOTHING), [field]: name }
        const seen = judged(await world.call(who, methodOf(verb), message, token))
        const role = verb === 'ResumeSession' && who === 'delegate' ? 'ROLE_NOT_ALLOWED' : reason
        const refusals = natives.includes(verb) ? [role, 'FEATURE_NOT_AVAILABLE'] : [role]
        expect(refusals, `${who} ${verb}`).toContain(seen)
      }
    }
  })
})

test('after all of it the daemon agrees with itself', async () => {
  expect(await world.operator.check(30_000)).toMatchObject({ consistent: true, problems: [] })
  expect(world.daemon.output).not.toMatch('incident')
})
