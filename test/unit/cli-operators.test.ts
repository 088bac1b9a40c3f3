/**
 * `pasidctl` where it steers or watches: the whole program against an admin socket that is played.
 */
import { status } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import type { Allocation } from '../../src/wire/generated/pasid/v1/Allocation.js'
import type { Session } from '../../src/wire/generated/pasid/v1/Session.js'
import type { Tenant } from '../../src/wire/generated/pasid/v1/Tenant.js'
import { runCli, type CliSurroundings } from '../support/cli-run.js'
import { stopAll } from '../support/daemon.js'
import { OperatorStub, refusal, type Played } from '../support/operator-stub.js'

const TIME = { seconds: '1790000000', nanos: 0 }
const NASTY = 'x\u001b[2J\u009b\ny'
const ALLOCATION: Allocation = {
  pasid: 5000,
  scope: 'SCOPE_HOST',
  state: 'ALLOCATION_STATE_ACTIVE',
  session: 'sessions/abc',
  tenant: 'tenants/blue',
  generation: '42',
  grantTime: TIME,
  labels: { queue: '7', nasty: NASTY },
  bindings: [
    {
      device: 'devices/emu0',
      pasid: 5000,
      firstStage: { address: '4096', addressWidth: 48 },
      domain: 3,
      state: 'BINDING_STATE_BOUND',
    },
  ],
}
const SESSION: Session = {
  name: 'sessions/abc',
  tenant: 'tenants/blue',
  state: 'SESSION_STATE_LINGERING',
  heldPasids: 4000,
  maxPasids: 100000,
  devices: ['devices/emu0'],
  bindings: 1,
  openTime: TIME,
  owner: { pid: 4100, uid: 107, gid: 108 },
  delegateUid: 64055,
  linger: { seconds: '30', nanos: 0 },
  cause: 'END_CAUSE_EXIT',
  withheld: true,
  unproven: true,
  stuck: { since: TIME, attempts: 12, problem: NASTY },
}
const STALE = (reason: string) => refusal(status.ABORTED, reason, { current: '43' })

let stub: OperatorStub

async function play(played: Played): Promise<void> {
  stub = await OperatorStub.start(played)
}
const cli = (argv: readonly string[], surroundings?: CliSurroundings) =>
  runCli(stub.socket, argv, surroundings)

afterEach(async () => {
  stub.stop()
  await stopAll()
})

describe('who', () => {
  test('holder, process, delegate, since when, bindings; nothing that steers the terminal', async () => {
    await play({ GetAllocation: () => ALLOCATION, GetSession: () => SESSION })
    const { code, stdout } = await cli(['who', '0x1388'])
    expect(code).toBe(0)
    const facts = stdout.trimEnd().split('\n')
    expect(facts.map((line) => line.replace(/ {2,}/, ': '))).toEqual([
      'PASID: 5000 (0x1388) of HOST scope',
      'state: ACTIVE',
      'tenant: blue',
      'session: sessions/abc LINGERING',
      'owner: pid 4100, uid 107, gid 108',
      'delegate: uid 64055',
      'linger: 30s',
      'cause: EXIT',
      'withheld: its numbers are held back: pasidctl reclaim',
      'unproven: a device may still have its numbers: pasidctl reclaim',
      'stuck: 12 attempts since 2026-09-21T14:13:20Z: x?[2J??y',
      'since: 2026-09-21T14:13:20Z',
      'generation: 42',
      'labels: queue=7,nasty=x?[2J??y',
      'binding: emu0 5000 table 0x1000 domain 3 BOUND',
    ])
  })
  test('JSON: the allocation, the session, the command', async () => {
    await play({ GetAllocation: () => ALLOCATION, GetSession: () => SESSION })
    const { stdout } = await cli(['-o', 'json', 'who', '5000', '--device', 'nic0'])
    expect(stdout).not.toMatch(/[\u001b\u009b]/)
    expect(JSON.parse(stdout)).toMatchObject({
      allocation: { pasid: 5000, generation: '42', labels: { nasty: NASTY } },
      session: { name: 'sessions/abc', linger: '30s', delegateUid: 64055, withheld: true },
      command: null,
    })
    expect(stub.asked('GetAllocation')).toMatchObject([{ device: 'devices/nic0' }])
  })
  test('a number that rests was given back; one whose session just ended is still told', async () => {
    const state = 'ALLOCATION_STATE_QUARANTINED'
    let session = ''
    await play({
      GetAllocation: () => ({ ...ALLOCATION, state, session }),
      GetSession: () => SESSION,
    })
    const rests = await cli(['who', '5000'])
    expect(rests.stdout).toMatch(/\ngiven back by +a session that is gone\n/)
    session = 'sessions/abc'
    const since = await cli(['who', '5000'])
    expect(since.stdout).toMatch(/\ngiven back by +sessions\/abc LINGERING\n/)
    stub.stop()
    await play({
      GetAllocation: () => ALLOCATION,
      GetSession: () => {
        throw refusal(status.NOT_FOUND, 'SESSION_NOT_FOUND')
      },
    })
    expect((await cli(['who', '5000'])).stdout).toMatch(/session +sessions\/abc\nsince/)
  })
  test('a number that nobody holds is 4', async () => {
    await play({
      GetAllocation: () => {
        throw refusal(status.NOT_FOUND, 'PASID_NOT_FOUND')
      },
    })
    const { code, stderr } = await cli(['who', '7'])
    expect([code, stderr]).toEqual([4, 'pasidctl: nobody holds PASID 7 in HOST scope\n'])
  })
  test('--pid: sessions of a process, over all pages, with its command', async () => {
    const own = { pid: process.pid, uid: process.getuid?.() ?? 0, gid: 0 }
    const state = 'SESSION_STATE_OPEN'
    await play({
      ListSessions: ({ pageToken }) =>
        pageToken === ''
          ? { sessions: [SESSION], nextPageToken: 'more' }
          : { sessions: [{ ...SESSION, name: 'sessions/own', owner: own, state }] },
    })
    const { stdout } = await cli(['who', '--pid', `${process.pid}`])
    const [head = '', row = '', ...rest] = stdout.trimEnd().split('\n')
    expect(rest).toEqual([])
    expect(head).toMatch(/^SESSION +TENANT +STATE +PASIDS +BINDINGS +UID +COMMAND/)
    expect(row).toMatch(/^own +blue +OPEN +4000 +1 +\d+ +[^ ]/)
    const none = await cli(['who', '--pid', '1'])
    expect([none.code, none.stderr]).toEqual([4, 'pasidctl: process 1 owns no session\n'])
  })
  test('neither or both is a wrong command line', async () => {
    await play({})
    expect((await cli(['who'])).code).toBe(64)
    expect((await cli(['who', '5', '--pid', '1'])).code).toBe(64)
    expect((await cli(['who', '--pid', '0'])).code).toBe(64)
    expect((await cli(['who', 'x'])).code).toBe(64)
    expect(stub.calls).toEqual([])
  })
})

describe('release', () => {
  const played: Played = {
    GetAllocation: () => ALLOCATION,
    ReleaseAllocation: () => ({ allocation: ALLOCATION, durable: true }),
  }

  test('without a terminal and without --yes nothing is called', async () => {
    await play(played)
    const { code, stdout, stderr } = await cli(['release', '5000'])
    expect([code, stdout]).toEqual([64, ''])
    expect(stderr).toMatch(/--yes does it, --dry-run shows it/)
    expect(stub.calls).toEqual([])
  })
  test('shows what breaks, asks, and releases that generation', async () => {
    await play(played)
    const { code, stdout, stderr } = await cli(['release', '5000', '--reason', 'hung'], {
      typed: 'y\n',
    })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^PASID +5000 \(0x1388\)\n[^]*binding +emu0 5000 table 0x1000/)
    expect(stdout).toMatch(/\nreleased PASID 5000 of generation 42\n$/)
    expect(stderr).toMatch(
      /^Take PASID 5000 of HOST scope from sessions\/abc\? 1 bindings break\. \[y\/N\] /,
    )
    expect(stub.asked('ReleaseAllocation')).toMatchObject([
      { pasid: 5000, generation: '42', validateOnly: true },
      { pasid: 5000, generation: '42', validateOnly: false, reason: 'hung' },
    ])
  })
  test.each(['n\n', '\n', '', 'yess\n'])('answered with %j, nothing is done', async (typed) => {
    await play(played)
    const { code, stderr } = await cli(['release', '5000'], { typed })
    expect([code, stderr]).toEqual([1, expect.stringMatching(/pasidctl: nothing was changed\n$/)])
    expect(stub.asked('ReleaseAllocation').map(({ validateOnly }) => validateOnly)).toEqual([true])
  })
  test('--dry-run asks nothing and does nothing', async () => {
    await play(played)
    const table = await cli(['release', '5000', '--dry-run', '--yes'])
    expect([table.code, table.stderr]).toEqual([0, ''])
    expect(table.stdout).toMatch(/\ndry run: nothing was changed\n$/)
    const json = await cli(['-o', 'json', 'release', '5000', '--dry-run'])
    expect(JSON.parse(json.stdout)).toMatchObject({
      validateOnly: true,
      allocation: { pasid: 5000 },
    })
    expect(stub.asked('ReleaseAllocation').every(({ validateOnly }) => validateOnly)).toBe(true)
  })
  test('a number granted anew meanwhile is not taken: 5', async () => {
    await play({
      ...played,
      ReleaseAllocation: ({ validateOnly }) => {
        if (validateOnly) return { allocation: ALLOCATION, durable: true }
        throw STALE('GENERATION_STALE')
      },
    })
    const { code, stderr, stdout } = await cli(['release', '5000'], { typed: 'yes\n' })
    expect(code).toBe(5)
    expect(stderr).toMatch(/not of generation 42 any more, and was not taken; it is of 43 now/)
    expect(stdout).not.toMatch(/released/)
  })
  test('--generation is taken as it is, nothing is read first', async () => {
    await play(played)
    const { code } = await cli(['release', '5000', '--generation', '41', '-y', '--device', 'nic0'])
    expect(code).toBe(0)
    expect(stub.calls).toMatchObject([
      {
        method: 'ReleaseAllocation',
        request: { generation: '41', device: 'devices/nic0', scope: 'SCOPE_DEVICE' },
      },
    ])
    expect((await cli(['release', '5000', '--generation', 'x', '-y'])).code).toBe(64)
  })
  test('done but not recorded is said beside the output', async () => {
    await play({ ...played, ReleaseAllocation: () => ({ allocation: ALLOCATION }) })
    const { code, stdout, stderr } = await cli(['-o', 'json', 'release', '5000', '--yes'])
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { durable: false, validateOnly: false }])
    expect(stderr).toMatch(/the ledger cannot be written/)
  })
  test('an observer is told that it may not: 77', async () => {
    await play({
      ...played,
      ReleaseAllocation: () => {
        throw refusal(status.PERMISSION_DENIED, 'ROLE_NOT_ALLOWED')
      },
    })
    const { code, stderr } = await cli(['release', '5000', '--yes'])
    expect([code, stderr]).toEqual([77, 'pasidctl: no: ROLE_NOT_ALLOWED (ROLE_NOT_ALLOWED)\n'])
  })
})

describe('end', () => {
  test('shows the session, asks with all that it loses, ends it', async () => {
    await play({ EndSession: () => ({ session: SESSION, durable: true }) })
    expect((await cli(['end', 'abc'])).code).toBe(64)
    const { code, stdout, stderr } = await cli(['end', 'abc', '--reason', 'r'], { typed: 'Y\n' })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^session +sessions\/abc\n[^]*\nended: everything of it is unbound/)
    expect(stderr).toMatch('End sessions/abc? It loses 4000 PASIDs, 1 bindings, 1 devices.')
    expect(stub.asked('EndSession')).toMatchObject([
      { name: 'sessions/abc', validateOnly: true },
      { name: 'sessions/abc', validateOnly: false, reason: 'r' },
    ])
  })
  test('one that is gone is 4, and nobody is asked', async () => {
    await play({
      EndSession: () => {
        throw refusal(status.NOT_FOUND, 'SESSION_NOT_FOUND')
      },
    })
    const { code, stderr } = await cli(['end', 'abc'], { typed: 'y\n' })
    expect([code, stderr]).toEqual([4, 'pasidctl: no: SESSION_NOT_FOUND (SESSION_NOT_FOUND)\n'])
  })
})

describe('quota', () => {
  const org: Tenant = {
    name: 'tenants/org',
    usedPasids: 700,
    maxPasids: 1000,
    sessions: 3,
    sessionMaxPasids: 1048575,
    window: { first: 1, last: 1048575 },
    configured: true,
    etag: 'e0',
  }
  const blue: Tenant = {
    ...org,
    name: 'tenants/blue',
    parent: 'tenants/org',
    maxPasids: 800,
    maxSessions: 5,
    guaranteedPasids: 750,
    setAsidePasids: 50,
    overridden: true,
    etag: 'e1',
  }
  const { maxPasids: _maxPasids, ...unlimited } = { ...blue, name: 'tenants/red' }
  const ListTenants = () => ({ tenants: [blue, org, unlimited] })

  test('one tenant: limits, use, guarantee, what is set aside, what is inherited', async () => {
    await play({ ListTenants })
    const { stdout } = await cli(['quota', 'blue'])
    expect(stdout).toMatch(/\nPASIDs +700, at most 800, 1000 by org\n/)
    expect(stdout).toMatch(/\nguaranteed +750, set aside now 50\n/)
    expect(stdout).toMatch(/\nsessions +3, at most 5\n/)
    expect(stdout).toMatch(/\nper session +1048575 \(inherited\)\n/)
    expect(stdout).toMatch(/\nwindow +1-1048575 \(inherited\)\nlimits +changed\netag +e1\n$/)
    const red = await cli(['quota', 'tenants/red'])
    expect(red.stdout).toMatch(/\nPASIDs +700, no limit of its own, 1000 by org\n/)
    const all = await cli(['quota'])
    expect(all.stdout).toMatch(/\nblue +org +700 +800 +750 +50 +3 +5 +1048575 \(inherited\)/)
    const none = await cli(['quota', 'green'])
    expect([none.code, none.stderr]).toEqual([
      4,
      'pasidctl: there is no tenants/green; pasidctl tenants lists them\n',
    ])
  })
  test('set: on the limits that were read, and tells what is over', async () => {
    await play({ ListTenants, UpdateTenant: () => ({ ...blue, maxPasids: 500 }) })
    const set = ['quota', 'set', 'blue', 'max_pasids=500', 'max_sessions=inherit']
    const { code, stdout } = await cli([...set, '--reason', 'move'])
    expect([code, stdout]).toEqual([
      0,
      'max_pasids  800 -> 500\n' +
        'over the limit with 700 PASIDs: nothing is taken away, nothing more given\n' +
        'changed: tenant blue\n',
    ])
    expect(stub.asked('UpdateTenant')).toMatchObject([
      {
        tenant: { name: 'tenants/blue', etag: 'e1', maxPasids: 500 },
        updateMask: { paths: ['max_pasids', 'max_sessions'] },
        validateOnly: false,
        reason: 'move',
      },
    ])
    const dry = await cli([...set, '--dry-run'])
    expect(dry.stdout).toMatch(/\ndry run: nothing was changed\n$/)
    expect(stub.asked('UpdateTenant')[1]).toMatchObject({ validateOnly: true })
  })
  test('changed by another meanwhile: 5; a wrong limit: 64, and nothing is called', async () => {
    await play({
      ListTenants,
      UpdateTenant: () => {
        throw STALE('ETAG_STALE')
      },
    })
    const { code, stderr } = await cli(['quota', 'set', 'blue', 'max_pasids=0'])
    expect([code, stderr]).toEqual([5, expect.stringMatching(/changed by another meanwhile/)])
    const before = stub.calls.length
    expect((await cli(['quota', 'set', 'blue', 'max_pasids=-1'])).code).toBe(64)
    expect((await cli(['quota', 'set', 'blue'])).code).toBe(64)
    expect(stub.calls).toHaveLength(before)
  })
  test('revert, in JSON', async () => {
    await play({ ListTenants, UpdateTenant: () => ({ ...blue, overridden: false }) })
    const { code, stdout } = await cli(['-o', 'json', 'quota', 'revert', 'blue'])
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { overridden: false, maxPasids: 800 }])
    expect(stub.asked('UpdateTenant')).toMatchObject([{ revert: true, tenant: { etag: 'e1' } }])
  })
  test('help says what inherit and 0 are', async () => {
    await play({})
    const { code, stdout } = await cli(['quota', 'set', '--help'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/where 0 denies, or inherit: no limit of its own/)
  })
})

describe('watch', () => {
  const draining = () => refusal(status.UNAVAILABLE, 'DRAINING')

  test('one line an event, a resync that nobody overlooks, DRAINING is 69', async () => {
    await play({
      Watch(call) {
        call.write({ resync: { revision: '40', reason: `compacted ${NASTY}` } })
        call.write({
          change: {
            revision: '41',
            events: [
              {
                session: {
                  name: 'sessions/abc',
                  tenant: 'tenants/blue',
                  state: 'SESSION_STATE_CLOSING',
                  cause: 'END_CAUSE_EXIT',
                  owner: SESSION.owner ?? null,
                },
              },
              {
                numbers: {
                  scope: 'SCOPE_HOST',
                  ranges: [
                    { first: 5, last: 5 },
                    { first: 8, last: 9 },
                  ],
                  state: 'ALLOCATION_STATE_QUARANTINED',
                },
              },
            ],
          },
        })
        call.write({
          change: {
            revision: '42',
            events: [
              { binding: { session: 'sessions/abc', binding: ALLOCATION.bindings?.[0] ?? null } },
              {
                binding: {
                  session: 'sessions/abc',
                  binding: ALLOCATION.bindings?.[0] ?? null,
                  removed: true,
                },
              },
              { attachment: { session: 'sessions/abc', device: 'devices/emu0' } },
              { session: { name: 'sessions/abc', tenant: 'tenants/blue' } },
              { tenant: 'tenants/blue' },
            ],
          },
        })
        call.emit('error', draining())
      },
    })
    const { code, stdout, stderr } = await cli(['watch', '--from', '7'])
    expect(stdout.split('\n')).toEqual([
      '        40  RESYNC      changes were MISSED (compacted x?[2J??y): list anew, then go on from here',
      '        41  session     abc CLOSING by EXIT, tenant blue, pid 4100, uid 107, gid 108',
      '        41  numbers     HOST 5,8-9 QUARANTINED',
      '        42  binding     emu0 5000 table 0x1000 domain 3 BOUND of abc',
      '        42  binding     emu0 5000 gone of abc',
      '        42  device      emu0 detached of abc',
      '        42  session     abc gone, tenant blue',
      '        42  tenant      blue has other limits',
      '',
    ])
    expect([code, stderr]).toEqual([69, 'pasidctl: no: DRAINING (DRAINING)\n'])
  })
  test('-o json: one message a line', async () => {
    await play({
      Watch(call) {
        call.write({ started: { revision: '1' } })
        call.write({ change: { revision: '2', events: [{ tenant: 'tenants/blue' }] } })
        call.emit('error', draining())
      },
    })
    const { stdout } = await cli(['-o', 'json', 'watch'])
    const lines = stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { started: { revision: '1' } },
      { change: { revision: '2', events: [{ tenant: 'tenants/blue' }] } },
    ])
  })
  test('Ctrl-C ends it with 0', async () => {
    await play({ Watch: (call) => void call.write({ started: { revision: '1' } }) })
    const interrupts: (() => void)[] = []
    const { code, stderr } = await cli(['watch'], {
      onStart: (interrupt) => interrupts.push(interrupt),
      onOutput: () => interrupts[0]?.(),
    })
    expect([code, stderr]).toEqual([0, ''])
  })
  test('a revision that is none is a wrong command line', async () => {
    await play({})
    expect((await cli(['watch', '--from', '-1'])).code).toBe(64)
    expect((await cli(['watch', '--from', '99999999999999999999'])).code).toBe(64)
  })
})

describe('audit', () => {
  test('who did what, why, and how it went; no more than asked for', async () => {
    const event = {
      revision: '9',
      time: TIME,
      action: 'END_SESSION',
      actor: { pid: 7, uid: 0, gid: 0 },
      subject: 'sessions/abc',
      cause: NASTY,
      outcome: 'DONE',
    }
    const auditEvents = [event, { ...event, action: 'RECLAIM', actor: null, cause: 'EXIT' }]
    await play({ ListAuditEvents: () => ({ auditEvents, nextPageToken: 'more' }) })
    const { stdout } = await cli(['audit', '--limit', '2', '--filter', 'outcome = DONE'])
    const [head = '', first = '', second = '', ...rest] = stdout.trimEnd().split('\n')
    expect(rest).toEqual([])
    expect(head).toMatch(/^TIME +ACTION +SUBJECT +BY +OUTCOME +CAUSE +DETAILS +REVISION$/)
    expect(first).toMatch(
      /^2026-09-21T14:13:20Z {2}END_SESSION +sessions\/abc +pid 7, uid 0, gid 0 +DONE +x\?\[2J\?\?y +- +9$/,
    )
    expect(second).toMatch(/ RECLAIM +sessions\/abc +daemon +DONE +EXIT +- +9$/)
    expect(stub.asked('ListAuditEvents')).toMatchObject([{ pageSize: 2, filter: 'outcome = DONE' }])
  })
})

describe('reclaim', () => {
  const open = {
    breakerOpen: true,
    breakerTime: TIME,
    withheldSessions: 9,
    withheldPasids: 9000,
    unprovenSessions: 2,
    unprovenPasids: 70,
    breakerShare: 25,
    breakerFloor: 8,
    sweepLooked: 100,
    sweepTime: { seconds: '0', nanos: 12_000_000 },
    stuck: [SESSION],
    stuckCount: 2,
  }

  test('breaker, what is held back, owners, sweep, what is stuck', async () => {
    await play({ GetReclaim: () => open })
    const { code, stdout } = await cli(['reclaim'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^breaker +OPEN since 2026-09-21T14:13:20Z: too many deaths/)
    expect(stdout).toMatch(
      /\nheld back +9000 PASIDs of 9 sessions\nunproven +70 PASIDs of 2 sessions\n/,
    )
    expect(stdout).toMatch(/\nnewest sweep +100 owners looked at in 12\.0 ms\n/)
    expect(stdout).toMatch(/\nall looked at +never yet\n/)
    expect(stdout).toMatch(/\nstuck +2 sessions, the first 1 below\nsessions\/abc +12 attempts/)
    stub.stop()
    await play({ GetReclaim: () => ({ breakerShare: 25, breakerFloor: 8 }) })
    const closed = await cli(['reclaim'])
    expect(closed.stdout).toMatch(/^breaker +closed; opens above 25 % and 8 inferred deaths/)
    expect(JSON.parse((await cli(['reclaim', '-o', 'json'])).stdout)).toMatchObject({
      breakerOpen: false,
      passTime: null,
    })
  })
  test('resume asks with the numbers, and only then does it', async () => {
    await play({ GetReclaim: () => open, ResumeReclaim: () => ({ sessions: 9, pasids: 9000 }) })
    expect((await cli(['reclaim', 'resume'])).code).toBe(64)
    expect((await cli(['reclaim', 'resume'], { typed: 'n\n' })).code).toBe(1)
    expect(stub.asked('ResumeReclaim')).toEqual([])
    const { code, stdout, stderr } = await cli(['reclaim', 'resume', '--reason', 'reboot'], {
      typed: 'y\n',
    })
    expect(code).toBe(0)
    const more = ', and 70 PASIDs of 2 sessions that devices may still have'
    expect(stderr).toMatch(`Let 9000 PASIDs of 9 sessions go${more}? If their owners live`)
    expect(stdout).toMatch(/\nresumed: 9000 PASIDs of 9 sessions go\n$/)
    expect(stub.asked('ResumeReclaim')).toEqual([{ reason: 'reboot' }])
    expect((await cli(['reclaim', 'resume', '-y'])).code).toBe(0)
    stub.stop()
    const held = { ...open, unprovenSessions: 0, unprovenPasids: 0 }
    await play({ GetReclaim: () => held, ResumeReclaim: () => ({ sessions: 9, pasids: 9000 }) })
    const plain = await cli(['reclaim', 'resume'], { typed: 'n\n' })
    expect(plain.stderr).toMatch('Let 9000 PASIDs of 9 sessions go? If their owners live')
  })
})

describe('devices', () => {
  test('say which are in the broker’s hands', async () => {
    const device = { scope: 'SCOPE_HOST' as const, pasidBits: 20, present: true }
    const one = (name: string, handedOver: boolean) => ({ ...device, name, handedOver })
    await play({
      ListDevices: () => ({ devices: [one('devices/a', true), one('devices/b', false)] }),
    })
    const { code, stdout } = await cli(['devices'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^DEVICE .* HANDED OVER *\na .* 0 +yes *\nb .* 0 +no *\n$/)
  })
})

describe('sessions', () => {
  test('show owner, linger, and what is the matter', async () => {
    await play({ ListSessions: () => ({ sessions: [SESSION] }), GetSession: () => SESSION })
    const { stdout } = await cli(['sessions'])
    expect(stdout).toMatch(
      /\nabc +blue +LINGERING +4100 +107 +4000 +100000 +1 +0 +30s +EXIT,withheld,unproven,stuck +2026/,
    )
    const one = await cli(['get', 'sessions/abc'])
    expect(one.stdout).toMatch(/\nowner +pid 4100, uid 107, gid 108\ndelegate +uid 64055\n/)
    expect(one.stdout).toMatch(
      /\nlinger +30s\ncause +EXIT\nwithheld [^\n]+\nunproven [^\n]+\nstuck/,
    )
  })
})
