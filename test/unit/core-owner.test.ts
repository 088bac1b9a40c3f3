/** Owners: which process is which, who may take a session over, and what an owner's end begins. */

import { describe, expect, test } from 'vitest'
import type { ResumeSession } from '../../src/core/commands.js'
import { differencesOf } from '../../src/core/compare.js'
import type { Closing } from '../../src/core/decide/session.js'
import { keptOf } from '../../src/core/events.js'
import { PASID_LAST, type SessionId } from '../../src/core/ids.js'
import { problemsOf } from '../../src/core/invariants.js'
import { applyChange, completions, operatorVerbs, verbs } from '../../src/core/machine.js'
import { SLOT } from '../../src/core/namespace.js'
import { sameProcess, type Owner, type ProcessId } from '../../src/core/owner.js'
import { restore } from '../../src/core/restore.js'
import type { EndCause } from '../../src/core/session.js'
import type { State } from '../../src/core/state.js'
import { sessionView } from '../../src/core/view.js'
import { exactLines } from '../support/canonical.js'
import { imageOfState } from '../support/core-image.js'
import {
  World,
  codeOf,
  device,
  policy,
  processOf,
  requestKey,
  tenantPolicy,
  type Opening,
} from '../support/core-world.js'

const OWNER = processOf(500)
const SUCCESSOR = processOf(501)
const LINGER = { owner: OWNER, lingerMs: 5000 }

class Desk {
  readonly world = new World(policy(), [device('nic', 'HOST'), device('ssd', 'HOST')])
  readonly session: SessionId

  constructor(opening: Opening = { owner: OWNER }) {
    this.session = this.world.open('main', opening)
    this.world.attach(this.session, 'nic')
  }

  get state(): State {
    return this.world.state
  }

  get record() {
    return this.state.session(this.session).record
  }

  lose(
    rest: {
      withhold?: boolean
      unproven?: boolean
      owner?: ProcessId
      cause?: 'EXIT' | 'SWEEP' | 'INFERRED'
    } = {},
  ) {
    const { session } = this
    const { withhold = false, unproven = false, owner = OWNER, cause = 'EXIT' } = rest
    const command = { verb: 'lose-owner', session, owner, cause, withhold, unproven } as const
    return completions.loseOwner(this.state, command, this.world.now)
  }

  lost(rest: Parameters<Desk['lose']>[0] = {}): Closing | undefined {
    const { closing } = this.world.take(this.lose(rest))
    this.world.commit()
    return closing
  }

  resume(owner: Owner, delegate?: number) {
    const { session } = this
    const command: ResumeSession = { verb: 'resume-session', session, owner, delegate }
    return verbs.resumeSession(this.state, command)
  }

  close(cause: EndCause = 'CLOSED', withhold = false, unproven = false) {
    const held = { withhold, unproven }
    const command = { verb: 'close-session', session: this.session, cause, ...held } as const
    return verbs.closeSession(this.state, command, this.world.now)
  }

  /** Every slot of the numbers. */
  slots(numbers: readonly number[]): number[] {
    return numbers.map((number) => this.state.host.slotOf(number))
  }

  /** The backend does all that the closing asks for. */
  finish(closing: Closing, state = this.state): void {
    const { session, world } = this
    const tell = (events: Parameters<typeof applyChange>[1]): void => {
      if (events.length > 0) applyChange(state, events)
    }
    tell(completions.completeUnbind(state, closing.teardown))
    for (const id of closing.devices) {
      tell(completions.completeDetach(state, { session, device: id }))
    }
    tell(completions.completeFree(state, session, closing.pending, world.at))
    tell(completions.completeClose(state, session))
  }
}

describe('two names of processes', () => {
  const one = processOf(7)
  const noInode = processOf(7, { inode: '' })
  const cases: [string, ProcessId, ProcessId, boolean][] = [
    ['the same in all', one, processOf(7), true],
    [
      'the same inode is the same process, whatever else is said',
      one,
      processOf(8, { inode: one.inode }),
      true,
    ],
    [
      'the same but for the inode: the pid was given again',
      one,
      processOf(7, { inode: '1' }),
      false,
    ],
    ['an inode on one side only: pid and start time decide', one, noInode, true],
    ['no inode, the same pid and start time', noInode, noInode, true],
    [
      'no inode, another start time: the pid was given again',
      noInode,
      processOf(7, { inode: '', startTime: '1' }),
      false,
    ],
    [
      'no inode, another pid that started in the same tick',
      noInode,
      processOf(8, { inode: '', startTime: one.startTime }),
      false,
    ],
    [
      'no inode, the same pid in another pid namespace',
      noInode,
      processOf(7, { inode: '', pidNamespace: '1' }),
      false,
    ],
    [
      'no inode, no start time on one side',
      noInode,
      processOf(7, { inode: '', startTime: '' }),
      false,
    ],
    [
      'neither inode nor start time: nobody, itself included',
      processOf(7, { inode: '', startTime: '' }),
      processOf(7, { inode: '', startTime: '' }),
      false,
    ],
    ['other credentials, after a change of user', one, processOf(7, { uid: 0, gid: 0 }), true],
  ]
  test.each(cases)('%s', (_, a, b, same) => {
    expect(sameProcess(a, b)).toBe(same)
    expect(sameProcess(b, a)).toBe(same)
  })
})

describe('opening', () => {
  test('keeps owner and delegate; a linger is cut to the bound of the host', () => {
    const desk = new Desk({ owner: OWNER, delegate: 12, lingerMs: 60_001 })
    const kept = { owner: OWNER, delegate: 12, lingerMs: 60_000, state: 'OPEN', withheld: false }
    expect(desk.record).toMatchObject(kept)
    expect(sessionView(desk.state, desk.state.session(desk.session))).toMatchObject(kept)
    expect(new Desk({ lingerMs: 60_000 }).record.lingerMs).toBe(60_000)
  })

  test('for nobody by a delegate is refused: there would be no one to outlive', () => {
    const { world } = new Desk()
    const opening = (rest: Opening) => {
      return codeOf(verbs.openSession(world.state, world.openCommand('main', rest), world.now))
    }
    expect(opening({ owner: undefined, delegate: 12 })).toBe('OWNER_TOKEN_INVALID')
    expect(opening({ owner: undefined, delegate: undefined })).toBe('accepted')
  })

  test.each<[string, Opening, Opening, string]>([
    ['the owner', { owner: OWNER }, { owner: OWNER }, 'accepted'],
    ['another process', { owner: OWNER }, { owner: SUCCESSOR }, 'NOT_OWNER'],
    ['nobody known', { owner: OWNER }, { owner: undefined }, 'NOT_OWNER'],
    ['nobody, of nobody', { owner: undefined }, { owner: undefined }, 'accepted'],
    [
      'its delegate, the token used up',
      { owner: OWNER, delegate: 12 },
      { owner: undefined, delegate: 12 },
      'accepted',
    ],
    [
      'another delegate',
      { owner: OWNER, delegate: 12 },
      { owner: OWNER, delegate: 13 },
      'NOT_OWNER',
    ],
    [
      'a delegate that did not open it',
      { owner: OWNER },
      { owner: OWNER, delegate: 12 },
      'NOT_OWNER',
    ],
    [
      'the owner, of what a delegate opened',
      { owner: OWNER, delegate: 12 },
      { owner: OWNER },
      'NOT_OWNER',
    ],
  ])('repeated by %s', (_, first, second, said) => {
    const world = new World(policy())
    const open = (rest: Opening) => {
      const command = { ...world.openCommand('main', rest), request: requestKey(1) }
      return verbs.openSession(world.state, command, world.now)
    }
    world.take(open(first))
    world.commit()
    expect(codeOf(open(second))).toBe(said)
    expect(world.state.sessions.size).toBe(1)
  })
})

describe('an owner that ended', () => {
  test('without a linger: everything begins to end at once, with the cause', () => {
    const desk = new Desk()
    desk.world.hold(desk.session, [300, 301])
    desk.world.bind(desk.session, 300, 'nic')
    const closing = desk.lost({ cause: 'SWEEP' })
    expect(closing).toMatchObject({ freed: 2, complete: true })
    expect(closing?.teardown.map(({ target }) => target)).toEqual([300])
    expect(desk.record).toMatchObject({ state: 'CLOSING', cause: 'SWEEP', withheld: false })
    expect(desk.slots([300, 301])).toEqual([SLOT.FREE_PENDING, SLOT.QUARANTINED])
    if (closing !== undefined) desk.finish(closing)
    expect(desk.state.sessions.size).toBe(0)
    expect(problemsOf(desk.state)).toEqual([])
  })

  test('told again while it ends: it is closing already', () => {
    const desk = new Desk()
    desk.lost()
    expect(codeOf(desk.lose())).toBe('SESSION_CLOSING')
  })

  test('who is not the owner, or no longer, takes nothing down by ending', () => {
    const desk = new Desk({ owner: OWNER })
    expect(desk.lose({ owner: SUCCESSOR })).toMatchObject({ kind: 'accepted', events: [] })
    expect(desk.record.state).toBe('OPEN')
    const unowned = new Desk({ owner: undefined })
    expect(unowned.lose()).toMatchObject({ events: [], answer: { closing: undefined } })
  })

  test('with grants on their way to the disk: only the door is shut', () => {
    const desk = new Desk()
    desk.world.take(desk.world.ask(desk.session, [300]))
    expect(desk.lose()).toMatchObject({ answer: { closing: { complete: false, freed: 0 } } })
  })
})

describe('a session that lingers', () => {
  test('keeps all it has and takes no command', () => {
    const desk = new Desk(LINGER)
    const { session, state, world } = desk
    world.hold(session, [300])
    world.bind(session, 300, 'nic')
    expect(desk.lost()).toBeUndefined()
    expect(desk.record).toMatchObject({ state: 'LINGERING', cause: 'EXIT', owner: OWNER })
    const told = { kind: 'refused', refusal: { code: 'SESSION_LINGERING', session: 's1' } }
    const own = { session, request: undefined } as const
    const refused = [
      world.ask(session, 'ONE'),
      world.give(session, [300]),
      world.binding(session, 300, 'nic'),
      verbs.unbind(state, { verb: 'unbind', session, what: { kind: 'ALL' } }),
      verbs.invalidate(state, { verb: 'invalidate', session, entries: [] }),
      verbs.attachDevice(state, { verb: 'attach-device', ...own, device: 'ssd' }, world.now),
      verbs.detachDevice(state, { verb: 'detach-device', ...own, device: 'nic' }, world.now),
    ]
    expect(refused).toEqual(refused.map(() => told))
    expect(desk.slots([300])).toEqual([SLOT.HELD])
    expect(state.bindings.size).toBe(1)
  })

  test('can be closed, and then ends as any other', () => {
    const desk = new Desk(LINGER)
    desk.world.hold(desk.session, [300])
    desk.lost()
    const closing = desk.world.take(desk.close())
    expect(desk.record).toMatchObject({ state: 'CLOSING', cause: 'CLOSED' })
    desk.finish(closing)
    expect(desk.state.sessions.size).toBe(0)
  })

  test('ends when its time is over, and nothing else does', () => {
    const desk = new Desk(LINGER)
    const { state, world, session } = desk
    const over = () =>
      completions.endLingering(state, { session, withhold: false, unproven: false }, world.now)
    expect(over()).toMatchObject({ events: [], answer: { closing: undefined } })
    desk.lost()
    expect(world.take(over()).closing).toMatchObject({ complete: true })
    expect(desk.record).toMatchObject({ state: 'CLOSING', cause: 'LINGER' })
    expect(codeOf(over())).toBe('SESSION_CLOSING')
  })

  test('its owner ending twice is its owner ending once', () => {
    const desk = new Desk(LINGER)
    desk.lost()
    expect(desk.lose({ cause: 'INFERRED', withhold: true })).toMatchObject({ events: [] })
    expect(desk.record).toMatchObject({ state: 'LINGERING', cause: 'EXIT', withheld: false })
  })

  test('is a successor’s, whole, as soon as that comes', () => {
    const desk = new Desk(LINGER)
    desk.world.hold(desk.session, [300])
    desk.lost()
    desk.world.take(desk.resume(SUCCESSOR, 44))
    const taken = { state: 'OPEN', owner: SUCCESSOR, delegate: 44, cause: undefined }
    expect(desk.record).toMatchObject(taken)
    expect(desk.record.lingerMs).toBe(5000)
    expect(codeOf(desk.world.give(desk.session, [300]))).toBe('accepted')
    // Late news of the first owner is no news of the second.
    expect(desk.lose()).toMatchObject({ events: [], answer: { closing: undefined } })
    expect(codeOf(desk.resume(OWNER))).toBe('NOT_OWNER')
  })

  test('a successor whose coming did not reach the disk has not come', () => {
    const desk = new Desk(LINGER)
    desk.lost()
    const before = exactLines(desk.state)
    const decided = desk.resume(SUCCESSOR)
    desk.world.take(decided)
    desk.world.undo()
    expect(exactLines(desk.state)).toEqual(before)
    const events = decided.kind === 'accepted' ? decided.events : []
    expect(keptOf({ revision: 1, events })).toEqual([])
  })

  test('an owner’s end that did not reach the disk is told again', () => {
    for (const desk of [new Desk(LINGER), new Desk()]) {
      const decided = desk.lose()
      const events = decided.kind === 'accepted' ? decided.events : []
      expect(events.length).toBeGreaterThan(0)
      expect(keptOf({ revision: 1, events })).toEqual(events)
    }
  })
})

describe('resuming', () => {
  test('by the owner changes nothing', () => {
    const desk = new Desk()
    expect(desk.resume(OWNER)).toMatchObject({ kind: 'accepted', events: [], answer: desk.session })
    expect(codeOf(desk.resume(processOf(500, { uid: 0 })))).toBe('accepted')
  })

  test('by any other while the owner lives is refused, and says who was', () => {
    const desk = new Desk(LINGER)
    const refusal = { code: 'NOT_OWNER', session: 's1', pid: 501 }
    expect(desk.resume(SUCCESSOR)).toEqual({ kind: 'refused', refusal })
    // The same pid again, after the owner: another process.
    expect(codeOf(desk.resume(processOf(500, { inode: '1' })))).toBe('NOT_OWNER')
  })

  test('what nobody owns becomes the first one’s, then nobody else’s', () => {
    const desk = new Desk({ owner: undefined })
    desk.world.take(desk.resume(SUCCESSOR))
    expect(desk.record.owner).toEqual(SUCCESSOR)
    expect(codeOf(desk.resume(OWNER))).toBe('NOT_OWNER')
  })

  test('a closing session is nobody’s any more', () => {
    const desk = new Desk()
    desk.world.take(desk.close())
    expect(codeOf(desk.resume(OWNER))).toBe('SESSION_CLOSING')
  })

  test('a session whose opening is on its way to the disk is waited for', () => {
    const world = new World(policy())
    const opening = world.openCommand('main', { owner: OWNER })
    const { session } = world.take(verbs.openSession(world.state, opening, world.now))
    const command = { verb: 'resume-session', session, owner: OWNER, delegate: undefined } as const
    const { revision } = world.state
    expect(verbs.resumeSession(world.state, command)).toEqual({ kind: 'wait', revision })
  })
})

describe('a session that is withheld', () => {
  /** 300 bound, 301 not, 302 given back before and resting already. */
  function withheld(): { desk: Desk; closing: Closing } {
    const desk = new Desk()
    desk.world.hold(desk.session, [300, 301, 302])
    desk.world.bind(desk.session, 300, 'nic')
    desk.world.take(desk.world.give(desk.session, [302]))
    desk.world.commit()
    const closing = desk.lost({ cause: 'INFERRED', withhold: true })
    if (closing === undefined) throw new Error('the session ends')
    return { desk, closing }
  }

  const WAITING = [SLOT.FREE_PENDING, SLOT.FREE_PENDING, SLOT.FREE]

  test('is taken down at once; its numbers wait, bound or not, for as long as it takes', () => {
    const { desk, closing } = withheld()
    expect(desk.record).toMatchObject({ state: 'CLOSING', cause: 'INFERRED', withheld: true })
    expect(closing).toMatchObject({ freed: 2, complete: true })
    expect(closing.pending).toEqual([{ namespace: 0, runs: [{ first: 300, count: 2 }] }])
    desk.finish(closing)
    expect(desk.state.bindings.size).toBe(0)
    expect(desk.state.session(desk.session)).toMatchObject({ held: 2 })
    expect(desk.state.session(desk.session).attachments.size).toBe(0)
    desk.world.commit()
    desk.world.pass(1_000_000)
    expect(desk.slots([300, 301, 302])).toEqual(WAITING)
    expect(desk.world.ask(desk.world.open(), [301])).toMatchObject({
      refusal: { code: 'PASID_TAKEN', pasid: 301 },
    })
    expect(problemsOf(desk.state)).toEqual([])
  })

  test('is charged to tenant and host while it waits', () => {
    const { desk, closing } = withheld()
    desk.finish(closing)
    desk.world.commit()
    desk.world.pass(1_000_000)
    expect(desk.state.hostUsed).toBe(2)
    expect(desk.state.tenantOf(desk.state.session(desk.session)).used).toBe(2)
  })

  test('comes to rest when an operator lets reclaim go on, and then to an end', () => {
    const { desk, closing } = withheld()
    desk.finish(closing)
    expect(desk.world.take(operatorVerbs.resumeReclaim(desk.state))).toEqual([desk.session])
    expect(operatorVerbs.resumeReclaim(desk.state)).toMatchObject({ events: [], answer: [] })
    const session = desk.state.session(desk.session)
    const again = desk.world.take(completions.resumeClosing(desk.state, session, desk.world.at))
    expect(again.pending).toEqual([{ namespace: 0, runs: [{ first: 300, count: 2 }] }])
    desk.finish(again)
    expect(desk.slots([300, 301])).toEqual([SLOT.QUARANTINED, SLOT.QUARANTINED])
    expect(desk.state.sessions.size).toBe(0)
    desk.world.commit()
    desk.world.pass(1000)
    expect(desk.slots([300, 301])).toEqual([SLOT.FREE, SLOT.FREE])
    expect(problemsOf(desk.state)).toEqual([])
  })

  test('let go before its teardown is done, no number rests before that', () => {
    const { desk, closing } = withheld()
    desk.world.take(operatorVerbs.resumeReclaim(desk.state))
    const { pending } = closing
    const { session, state, world } = desk
    world.apply(completions.completeFree(state, session, pending, world.at))
    expect(desk.slots([300, 301])).toEqual([SLOT.FREE_PENDING, SLOT.QUARANTINED])
  })

  test('stays so over a restart', () => {
    const { desk, closing } = withheld()
    desk.finish(closing)
    desk.world.commit()
    const described = new Map([...desk.state.devices.values()].map((one) => [one.name, one]))
    const image = imageOfState(desk.state)
    const state = restore(image, desk.state.policy, described, desk.world.at)
    expect(differencesOf(desk.state, state, { left: 'memory', right: 'ledger' })).toEqual([])
    const session = state.session(desk.session)
    expect(session.record).toMatchObject({ withheld: true, cause: 'INFERRED' })
    const again = completions.resumeClosing(state, session, desk.world.at)
    if (again.kind !== 'accepted') throw new Error('closing goes on')
    desk.finish(again.answer, state)
    expect(state.host.slotOf(300)).toBe(SLOT.FREE_PENDING)
    applyChange(state, reclaimOf(state))
    desk.finish(again.answer, state)
    expect(state.host.slotOf(300)).toBe(SLOT.QUARANTINED)
    expect(state.sessions.size).toBe(0)
    expect(problemsOf(state)).toEqual([])
  })

  test('shut with grants on their way to the disk, it withholds those too', () => {
    const desk = new Desk()
    desk.world.take(desk.world.ask(desk.session, [300]))
    desk.world.take(desk.close('OPERATOR', true))
    desk.world.commit()
    const session = desk.state.session(desk.session)
    const again = desk.world.take(completions.resumeClosing(desk.state, session, desk.world.at))
    desk.finish(again)
    expect(desk.slots([300])).toEqual([SLOT.FREE_PENDING])
  })

  test('reclaim going on that did not reach the disk goes on all the same', () => {
    const { desk } = withheld()
    const events = reclaimOf(desk.state)
    expect(keptOf({ revision: 1, events })).toEqual(events)
    const before = exactLines(desk.state)
    desk.world.apply(events)
    desk.world.undo()
    expect(exactLines(desk.state)).toEqual(before)
  })
})

describe('a session that is unproven', () => {
  /** 300 and 301, bound nowhere. */
  function unproven(): { desk: Desk; closing: Closing } {
    const desk = new Desk()
    desk.world.hold(desk.session, [300, 301])
    desk.world.commit()
    const closing = desk.lost({ unproven: true })
    if (closing === undefined) throw new Error('the session ends')
    return { desk, closing }
  }

  const prove = ({ state, session, world }: Desk): void => {
    world.apply(completions.proveClosed(state, session))
  }

  function goOn(desk: Desk): void {
    const session = desk.state.session(desk.session)
    desk.finish(desk.world.take(completions.resumeClosing(desk.state, session, desk.world.at)))
  }

  test('has its numbers wait, however long; proven, they rest, and it is gone', () => {
    const { desk, closing } = unproven()
    expect(desk.record).toMatchObject({ state: 'CLOSING', unproven: true, withheld: false })
    desk.finish(closing)
    desk.world.commit()
    desk.world.pass(1_000_000)
    expect(desk.slots([300, 301])).toEqual([SLOT.FREE_PENDING, SLOT.FREE_PENDING])
    prove(desk)
    expect(completions.proveClosed(desk.state, desk.session)).toEqual([])
    goOn(desk)
    expect(desk.slots([300, 301])).toEqual([SLOT.QUARANTINED, SLOT.QUARANTINED])
    expect(desk.state.sessions.size).toBe(0)
    expect(problemsOf(desk.state)).toEqual([])
  })

  test('proven before its teardown is done, no number rests before that', () => {
    const desk = new Desk()
    desk.world.hold(desk.session, [300, 301])
    desk.world.bind(desk.session, 300, 'nic')
    desk.world.commit()
    const closing = desk.lost({ unproven: true })
    if (closing === undefined) throw new Error('the session ends')
    prove(desk)
    const { state, session, world } = desk
    world.apply(completions.completeFree(state, session, closing.pending, world.at))
    expect(desk.slots([300, 301])).toEqual([SLOT.FREE_PENDING, SLOT.QUARANTINED])
  })

  test('and withheld, waits for both', () => {
    const desk = new Desk()
    desk.world.hold(desk.session, [300])
    desk.world.commit()
    const closing = desk.lost({ unproven: true, withhold: true, cause: 'INFERRED' })
    if (closing === undefined) throw new Error('the session ends')
    desk.finish(closing)
    prove(desk)
    goOn(desk)
    expect(desk.slots([300])).toEqual([SLOT.FREE_PENDING])
    desk.world.take(operatorVerbs.resumeReclaim(desk.state))
    goOn(desk)
    expect(desk.slots([300])).toEqual([SLOT.QUARANTINED])
  })

  test('is let go by an operator as well', () => {
    const { desk, closing } = unproven()
    desk.finish(closing)
    expect(desk.world.take(operatorVerbs.resumeReclaim(desk.state))).toEqual([desk.session])
    expect(desk.record).toMatchObject({ withheld: false, unproven: false })
    goOn(desk)
    expect(desk.state.sessions.size).toBe(0)
  })

  test('without a number there is nothing to prove', () => {
    const desk = new Desk()
    desk.world.commit()
    desk.lost({ unproven: true })
    expect(desk.record).toMatchObject({ state: 'CLOSING', unproven: false })
  })

  test('lingering first, it is so from its end on', () => {
    const world = new World(policy())
    const session = world.open('main', LINGER)
    world.hold(session, [300])
    world.commit()
    const held = { withhold: false, unproven: true }
    const lost = { verb: 'lose-owner', session, owner: OWNER, cause: 'EXIT', ...held } as const
    world.take(completions.loseOwner(world.state, lost, world.now))
    expect(world.state.session(session).record).toMatchObject({ unproven: false })
    world.take(completions.endLingering(world.state, { session, ...held }, world.now))
    expect(world.state.session(session).record).toMatchObject({ cause: 'LINGER', unproven: true })
  })
})

function reclaimOf(state: State) {
  const decided = operatorVerbs.resumeReclaim(state)
  return decided.kind === 'accepted' ? decided.events : []
}

test('a limit of sessions counts those that linger and those that wait', () => {
  const world = new World(policy({ tenants: [tenantPolicy('main', { maxSessions: 1 })] }))
  const session = world.open('main', LINGER)
  const held = { withhold: true, unproven: false }
  const lost = { verb: 'lose-owner', session, owner: OWNER, cause: 'EXIT', ...held } as const
  world.take(completions.loseOwner(world.state, lost, world.now))
  world.commit()
  const open = () => codeOf(verbs.openSession(world.state, world.openCommand('main'), world.now))
  expect(open()).toBe('SESSIONS_EXHAUSTED')
  world.hold(world.take(resume(world, session)), [PASID_LAST])
  const close = { verb: 'close-session', session, cause: 'OPERATOR', ...held } as const
  world.take(verbs.closeSession(world.state, close, world.now))
  expect(open()).toBe('SESSIONS_EXHAUSTED')
})

function resume(world: World, session: SessionId) {
  const command = {
    verb: 'resume-session',
    session,
    owner: SUCCESSOR,
    delegate: undefined,
  } as const
  return verbs.resumeSession(world.state, command)
}
