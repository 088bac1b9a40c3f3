/**
 * What is somebody's without being a session or in one: request ids, one-time tokens of owners, the
 * other socket, an operator's rights. As in the matrix every cell has its one reason, and nothing
 * that the operator sees has changed.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { IS_ROOT, Judge, NO_SESSION, reasonOf, ROOT_ONLY } from '../support/adversary-judge.js'
import { methodsOf, OF_OPERATORS, OF_VMMS } from '../support/adversary-verbs.js'
import { REQUESTS, VICTIMS, type Name } from '../support/adversary-world.js'

const UNIMPLEMENTED = 12

const judge = new Judge()

beforeAll(() => judge.start())
afterAll(() => judge.stop('secrets'))
beforeEach((ctx) => ctx.skip(!IS_ROOT, ROOT_ONLY))

describe('another’s request id', () => {
  const open = (who: Name, message: object) => {
    judge.cells += 1
    return judge.world.agent(who).call(judge.world.vmm, 'PasidBroker/OpenSession', message)
  }

  test('gives its session and token to nobody of the tenant', async () => {
    await judge.unchanged('request id', async () => {
      const { open: requestId, delegated } = REQUESTS
      const same = { requestId }
      const to = { tenant: 'tenants/alpha' }
      const wrong: string[] = []
      const judgeCell = async (who: Name, message: object, reason: string) => {
        const seen = reasonOf(await open(who, message))
        if (seen !== reason) wrong.push(`${who} ${JSON.stringify(message)}: ${seen}`)
      }
      for (const who of ['sibling', 'colleague', 'child'] as const) {
        await judgeCell(who, same, 'NOT_OWNER')
        await judgeCell(who, { ...same, maxPasids: 3 }, 'REQUEST_ID_REUSED')
        // Opened by a delegate: that were other arguments.
        await judgeCell(who, { requestId: delegated }, 'REQUEST_ID_REUSED')
      }
      for (const who of ['delegate', 'otherDelegate'] as const) {
        const ownerToken = await judge.world.ownerToken(who)
        await judgeCell(who, { ...same, ownerToken, ...to }, 'REQUEST_ID_REUSED')
      }
      const ownerToken = await judge.world.ownerToken('otherDelegate')
      await judgeCell('otherDelegate', { requestId: delegated, ownerToken, ...to }, 'NOT_OWNER')
      await judgeCell(
        'otherDelegate',
        { requestId: delegated, ...to, ownerToken: 'x' },
        'NOT_OWNER',
      )
      await judgeCell('nobody', same, 'IDENTITY_REFUSED')
      return wrong
    })
  })

  test('is any id for another tenant, and in another’s session', async () => {
    const before = await judge.world.victims()
    const opened = await open('stranger', { requestId: REQUESTS.open })
    if (!opened.ok) throw new Error(opened.message)
    const { name, tenant } = opened.value['session'] as { name: string; tenant: string }
    expect(tenant).toBe('tenants/beta')
    expect([judge.world.secret('victim').name, judge.world.secret('stranger').name]).not.toContain(
      name,
    )
    expect(opened.value['token']).not.toBe(judge.world.secret('victim').token)
    const requestId = REQUESTS.allocate
    for (const who of ['stranger', 'colleague', 'sibling', 'delegate'] as const) {
      judge.cells += 1
      const { name: session, token } = judge.world.secret(who)
      const agent = judge.world.agent(who)
      const message = { session, requestId, one: {}, min: 1600 }
      const { ranges } = await agent.must(
        judge.world.vmm,
        'PasidBroker/AllocatePasids',
        message,
        token,
      )
      const [{ first } = { first: 0 }] = ranges as { first: number }[]
      // The victim got 1600 for it.
      expect(first).toBeGreaterThan(1600)
      const back = { session, range: { first, last: first } }
      expect(
        await agent.must(judge.world.vmm, 'PasidBroker/FreePasids', back, token),
      ).toMatchObject({
        freed: 1,
      })
    }
    const close = { name, token: String(opened.value['token']) }
    await judge.world
      .agent('stranger')
      .must(judge.world.vmm, 'PasidBroker/CloseSession', { name }, close.token)
    expect(await judge.world.victims()).toBe(before)
  })
})

describe('another’s owner token', () => {
  const INVALID = 'OWNER_TOKEN_INVALID'
  const ROLE = 'ROLE_NOT_ALLOWED'
  const alpha = { tenant: 'tenants/alpha' }
  const beta = { tenant: 'tenants/beta' }
  const never = { tenant: 'tenants/no-such' }

  test('opens and resumes nothing, and is still good for whom it was given to, once', async () => {
    const ownerToken = await judge.world.ownerToken('delegate')
    const unused = { ...alpha, ownerToken: 'ab'.repeat(32) }
    await judge.unchanged('owner token', async () => {
      const wrong: string[] = []
      const table: (readonly [Name, object, string])[] = [
        ['victim', { ...alpha, ownerToken }, ROLE],
        ['stranger', { ...alpha, ownerToken }, ROLE],
        ['stranger', { ...beta, ownerToken }, ROLE],
        ['stranger', { ...beta }, ROLE],
        ['child', { ...alpha, ownerToken }, ROLE],
        ['otherDelegate', { ...alpha, ownerToken }, INVALID],
        ['otherDelegate', unused, INVALID],
        ['foreignDelegate', { ...beta, ownerToken }, INVALID],
        ['foreignDelegate', { ...alpha, ownerToken }, ROLE],
        ['foreignDelegate', { ...never, ownerToken }, ROLE],
        ['delegate', { ...beta, ownerToken }, ROLE],
        ['delegate', { ...never, ownerToken }, ROLE],
        ['delegate', unused, INVALID],
        ['delegate', {}, ROLE],
        ['nobody', { ...alpha, ownerToken }, 'IDENTITY_REFUSED'],
      ]
      for (const [who, message, reason] of table) {
        judge.cells += 1
        const open = 'PasidBroker/OpenSession'
        const seen = reasonOf(await judge.world.agent(who).call(judge.world.vmm, open, message))
        if (seen !== reason) wrong.push(`${who} ${JSON.stringify(message)}: ${seen}`)
      }
      const resumes: (readonly [Name, Name, string])[] = [
        ['victim', 'victim', ROLE],
        ['colleague', 'victim', ROLE],
        ['otherDelegate', 'victim', INVALID],
        ['otherDelegate', 'delegate', INVALID],
        ['foreignDelegate', 'victim', INVALID],
        ['nobody', 'victim', 'IDENTITY_REFUSED'],
      ]
      for (const [who, whose, reason] of resumes) {
        judge.cells += 1
        const { name, token } = judge.world.secret(whose)
        const agent = judge.world.agent(who)
        const resume = 'PasidBroker/ResumeSession'
        const seen = reasonOf(
          await agent.call(judge.world.vmm, resume, { name, ownerToken }, token),
        )
        if (seen !== reason) wrong.push(`${who} resumes that of ${whose}: ${seen}`)
      }
      return wrong
    })
    const opened = await judge.world.open('delegate', { ...alpha, ownerToken })
    await judge.unchanged('owner token', async () => {
      judge.cells += 1
      const again = { ...alpha, ownerToken }
      const open = 'PasidBroker/OpenSession'
      return [
        reasonOf(await judge.world.agent('delegate').call(judge.world.vmm, open, again)),
      ].filter((reason) => reason !== INVALID)
    })
    const { name, token } = opened
    const close = 'PasidBroker/CloseSession'
    await judge.world.agent('delegate').must(judge.world.vmm, close, { name }, token)
  })

  test('of the owner itself, shown by another delegate, changes no delegate', async () => {
    const { name, token } = judge.world.secret('delegate')
    const { owner } = await judge.world.operator.getSession(name)
    await judge.unchanged('owner token', async () => {
      const wrong: string[] = []
      const resume = async (who: Name, whose: Name, pid: number, reason: string) => {
        judge.cells += 1
        const ownerToken = await judge.world.ownerToken(who, pid)
        const shown = judge.world.secret(whose)
        const message = { name: shown.name, ownerToken }
        const agent = judge.world.agent(who)
        const method = 'PasidBroker/ResumeSession'
        const seen = await agent.call(judge.world.vmm, method, message, shown.token)
        const text = seen.ok ? 'OK' : seen.reason
        if (text !== reason) wrong.push(`${who} resumes that of ${whose}: ${text}`)
      }
      const itself = owner?.pid ?? -1
      // The owner it names is the one there is: nothing to change, and nothing changes.
      await resume('otherDelegate', 'delegate', itself, 'OK')
      await resume('otherDelegate', 'delegate', judge.world.sleepers.start(), 'NOT_OWNER')
      await resume('otherDelegate', 'victim', judge.world.agent('otherDelegate').pid, 'NOT_OWNER')
      await resume('foreignDelegate', 'delegate', itself, 'SESSION_NOT_FOUND')
      await resume(
        'foreignDelegate',
        'victim',
        judge.world.agent('victim').pid,
        'SESSION_NOT_FOUND',
      )
      judge.cells += 1
      const agent = judge.world.agent('otherDelegate')
      const get = await agent.call(judge.world.vmm, 'PasidBroker/GetSession', { name }, token)
      if (reasonOf(get) !== 'NOT_OWNER') wrong.push(`afterwards: ${reasonOf(get)}`)
      return wrong
    })
  })
})

test('another’s memory token maps nothing, and is still good for whom it was given to, once', async () => {
  const { guestAddress } = VICTIMS
  const token = await judge.world.memoryToken('victim')
  const ask = (who: Name, at: number) => {
    judge.cells += 1
    const { name: session, token: secret } = judge.world.secret(who)
    const message = { session, token, guestAddress: `${at}`, size: '4096' }
    const agent = judge.world.agent(who)
    return agent.call(judge.world.vmm, 'PasidBroker/MapGuestMemory', message, secret)
  }
  const next = guestAddress + 4096
  await judge.unchanged('memory token', async () => {
    const wrong: string[] = []
    for (const who of ['stranger', 'colleague', 'sibling', 'delegate', 'otherDelegate'] as const) {
      const seen = reasonOf(await ask(who, next))
      if (seen !== 'MEMORY_TOKEN_INVALID') wrong.push(`${who}: ${seen}`)
    }
    // Where memory is already: a call that fails for another reason spends no token.
    const seen = reasonOf(await ask('victim', guestAddress))
    return seen === 'MEMORY_OVERLAPS' ? wrong : [...wrong, `victim: ${seen}`]
  })
  expect(await ask('victim', next)).toMatchObject({ ok: true })
  expect(reasonOf(await ask('victim', next + 4096))).toBe('MEMORY_TOKEN_INVALID')
})

describe('the other socket', () => {
  const OPERATOR = methodsOf(OF_OPERATORS)
  const READING = /\/(Get|List|Check|Watch|DumpTables)/

  test('has none of the operator’s methods for VMMs, and none of theirs for operators', async () => {
    await judge.unchanged('service × socket', async () => {
      const wrong: string[] = []
      const judgeCell = async (who: Name, socket: string, method: string, token?: string) => {
        judge.cells += 1
        const answer = await judge.world.agent(who).call(socket, method, {}, token)
        if (answer.ok || answer.code !== UNIMPLEMENTED || answer.reason !== '') {
          wrong.push(`${who} ${method}: ${reasonOf(answer)}`)
        }
      }
      const { token } = judge.world.secret('victim')
      for (const who of ['victim', 'stranger', 'delegate', 'nobody'] as const) {
        for (const method of OPERATOR) await judgeCell(who, judge.world.vmm, method, token)
      }
      for (const method of methodsOf(OF_VMMS)) {
        await judgeCell('observer', judge.world.daemon.adminSocket, method, token)
        await judgeCell('victim', judge.world.daemon.adminSocket, method, token)
      }
      return wrong
    })
  })

  test('an observer changes nothing, and whom no rule is about does not even look', async () => {
    const { name } = judge.world.secret('victim')
    const [row] = JSON.parse(await judge.world.victims()).rows as {
      pasid: number
      generation: string
    }[]
    const { pasid = 0, generation = '' } = row ?? {}
    const walk = { device: 'devices/nic-a', walkAddress: '0' }
    const asks: Record<string, object[]> = {
      'Operator/EndSession': [{ name }, { name, validateOnly: true }, { name: NO_SESSION }],
      'Operator/ReleaseAllocation': [
        { pasid, generation },
        { pasid, generation, validateOnly: true },
      ],
      'Operator/UpdateTenant': [
        { tenant: { name: 'tenants/alpha', maxPasids: 0 }, updateMask: { paths: ['max_pasids'] } },
        { tenant: { name: 'tenants/alpha' }, revert: true },
      ],
      // A walk shows words of the guest’s memory.
      'EmulatorLab/DumpTables': [walk],
    }
    await judge.unchanged('role × method', async () => {
      const wrong: string[] = []
      const judgeCell = async (who: Name, method: string, message: object, reason: string) => {
        judge.cells += 1
        const agent = judge.world.agent(who)
        const seen = await agent.call(judge.world.daemon.adminSocket, method, message)
        const text = seen.ok ? 'OK' : reasonOf(seen)
        if (text !== reason) wrong.push(`${who} ${method}: ${text}`)
      }
      for (const method of OPERATOR) {
        if (!READING.test(method)) await judgeCell('observer', method, {}, 'ROLE_NOT_ALLOWED')
        for (const who of ['victim', 'stranger', 'delegate', 'nobody'] as const) {
          await judgeCell(who, method, {}, 'IDENTITY_REFUSED')
        }
      }
      for (const [method, messages] of Object.entries(asks)) {
        for (const message of messages) {
          await judgeCell('observer', method, message, 'ROLE_NOT_ALLOWED')
          await judgeCell('victim', method, message, 'IDENTITY_REFUSED')
        }
      }
      await judgeCell('observer', 'Operator/ListSessions', {}, 'OK')
      await judgeCell('observer', 'Operator/Check', {}, 'OK')
      return wrong
    })
  })
})

test('after all of it the daemon agrees with itself', () => judge.judgeEnd())
