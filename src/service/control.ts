/**
 * The gRPC method Control: all commands of one session on one stream. Commands go to the broker in
 * the order they came, answers leave as they are ready, events in between. What a client does not
 * take is bounded: reading pauses at the in-flight bound, and too many events cut the stream.
 */

import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js'
import type { SessionEvent, Subscription } from '../broker/answers.js'
import { refuse, type Outcome, type Refusal } from '../core/refusal.js'
import type { ControlOpen__Output } from '../wire/generated/pasid/v1/ControlOpen.js'
import { controlError, errorResponse, factsOf, INTERNAL_REASON, type Reply } from '../wire/reply.js'
import { quoted } from '../wire/quote.js'
import type { Decoded } from '../wire/strict.js'
import type { VmmRequest, VmmResponse } from '../wire/messages.js'
import { namedRefusal, proveSession, type Caller, type ProvenSession } from './caller.js'
import type { ServiceContext } from './context.js'
import { eventProto } from './convert/event.js'
import type { VmmCommands } from './vmm-commands.js'

type Call = ServerDuplexStream<Decoded<VmmRequest<'Control'>>, VmmResponse<'Control'>>
type AnswerKey = Exclude<keyof VmmResponse<'Control'>, 'id' | 'answer'>
type Answer<Key extends AnswerKey> = NonNullable<VmmResponse<'Control'>[Key]>

export function controlHandler(
  context: ServiceContext,
  tenant: string,
  commands: VmmCommands,
): handleBidiStreamingCall<Decoded<VmmRequest<'Control'>>, VmmResponse<'Control'>> {
  return (call) => {
    const caller = { tenant, metadata: call.metadata }
    new ControlStream(context, caller, commands, call).start()
  }
}

/** Order of its life: reading -> ending (no more is read) -> closed (nothing more is written). */
type Life = 'reading' | 'ending' | 'closed'

class ControlStream {
  readonly #context: ServiceContext
  readonly #commands: VmmCommands
  readonly #call: Call
  readonly #caller: Caller
  #life: Life = 'reading'
  #session: ProvenSession | undefined
  #subscription: Subscription | undefined
  #leaveStreams: (() => void) | undefined
  /** Ids of commands that are not answered yet. */
  readonly #ids = new Set<string>()
  /** write() said that the transport is behind: nothing is read until it has caught up. */
  #behind = false
  #eventsUntaken = 0
  /** Answers that are written and not taken: they count as under way, or memory would be theirs. */
  #answersUntaken = 0
  /** Lists asked for and not taken yet: one at a time, since each may be a page of megabytes. */
  #lists = 0
  /** What the stream ends with once all is answered; undefined is OK. */
  #end: Reply | undefined

  constructor(context: ServiceContext, caller: Caller, commands: VmmCommands, call: Call) {
    this.#context = context
    this.#commands = commands
    this.#call = call
    this.#caller = caller
  }

  start(): void {
    const call = this.#call
    call.on('data', (decoded: Decoded<VmmRequest<'Control'>>) => this.#receive(decoded))
    call.on('end', () => this.#finish(undefined))
    call.on('drain', () => {
      this.#behind = false
      this.#readOn()
    })
    call.on('error', () => this.#close())
    call.on('cancelled', () => this.#close())
    call.on('close', () => this.#close())
    const { streams } = this.#context
    const drain = (): void => this.#finish(factsOf({ code: 'DRAINING' }))
    this.#leaveStreams = streams.add({ drain })
    if (streams.draining) drain()
  }

  #receive(decoded: Decoded<VmmRequest<'Control'>>): void {
    if (this.#life !== 'reading') return
    if (!decoded.ok) {
      this.#refuseMessage(decoded.partial.id ?? '0', decoded.refusal)
      return
    }
    const { message } = decoded
    const wrong = this.#checkId(message.id)
    if (wrong !== undefined) this.#refuseMessage(message.id, wrong)
    else if (message.command === 'open') this.#open(message.id, message.open)
    else if (this.#session === undefined) this.#finish(factsOf(OPEN_FIRST))
    else this.#run(message.id, this.#session, message)
  }

  #checkId(id: string): Refusal | undefined {
    if (id !== '0' && !this.#ids.has(id)) return undefined
    const value = id === '0' ? '0' : `${id}, which is under way`
    const bound = 'at least 1, and unique among the commands under way'
    return { code: 'INVALID_ARGUMENT', field: 'id', value, bound, remedy: 'count upwards' }
  }

  /** Before the stream is open a message that is refused ends it; later only that command. */
  #refuseMessage(id: string, refusal: Refusal): void {
    if (this.#session === undefined) this.#finish(factsOf(refusal))
    else this.#write({ id, error: controlError(factsOf(refusal)) })
  }

  #open(id: string, open: ControlOpen__Output | null | undefined): void {
    if (this.#session !== undefined) {
      this.#refuseMessage(id, OPEN_AGAIN)
      return
    }
    const { broker, limits } = this.#context
    const named = open?.session ?? ''
    const session = proveSession(broker, this.#caller, 'open.session', named)
    if (!session.ok) {
      this.#finish(factsOf(session.refusal))
      return
    }
    this.#session = session.value
    const { incarnation, recoveredRevision } = broker.info()
    const inFlightMax = limits.controlInFlight
    this.#write({ id, opened: { incarnation, recoveredRevision, inFlightMax } })
    this.#subscription = broker.subscribe({
      session: session.value.id,
      receivePageRequests: open?.receivePageRequests ?? false,
      deliver: (event) => this.#deliver(event),
    })
  }

  /** In the order of arrival: each of these reaches the broker before it returns. */
  #run(id: string, { id: session, name }: ProvenSession, message: VmmRequest<'Control'>): void {
    const m = message
    const c = this.#commands
    switch (m.command) {
      case 'allocatePasids':
        return this.#carryOut(id, m.command, m.allocatePasids, (a) => c.allocatePasids(session, a))
      case 'freePasids':
        return this.#carryOut(id, m.command, m.freePasids, (a) => c.freePasids(session, a))
      case 'listPasids':
        return this.#carryOut(id, m.command, m.listPasids, (a) => c.listPasids(session, name, a))
      case 'attachDevice':
        return this.#carryOut(id, m.command, m.attachDevice, (a) => c.attachDevice(session, a))
      case 'detachDevice':
        return this.#carryOut(id, m.command, m.detachDevice, (a) => c.detachDevice(session, a))
      case 'bindPasid':
        return this.#carryOut(id, m.command, m.bindPasid, (a) => c.bindPasid(session, a))
      case 'unbindPasids':
        return this.#carryOut(id, m.command, m.unbindPasids, (a) => c.unbindPasids(session, a))
      case 'invalidate':
        return this.#carryOut(id, m.command, m.invalidate, (a) => c.invalidate(session, a))
      case 'respondPageRequest': {
        const { respondPageRequest } = m
        const run = c.respondPageRequest.bind(c, session)
        return this.#carryOut(id, m.command, respondPageRequest, run)
      }
      case 'getSession':
        return this.#carryOut(id, m.command, m.getSession, () => c.getSession(session))
      default:
        this.#refuseMessage(id, NO_COMMAND)
    }
  }

  #carryOut<Key extends AnswerKey, Arguments extends { session?: string; name?: string }>(
    id: string,
    key: Key,
    message: Arguments | null | undefined,
    run: (message: Arguments) => Outcome<Answer<Key>> | Promise<Outcome<Answer<Key>>>,
  ): void {
    const { calls } = this.#context
    const named = message?.session ?? message?.name ?? ''
    const method = METHODS[key] ?? key
    if (named !== '' && named !== `sessions/${this.#session?.name ?? ''}`) {
      return this.#refuseCommand(id, method, {
        code: 'SESSION_TOKEN_WRONG',
        session: named.replace(/^sessions\//, ''),
      })
    }
    if (!calls.enter()) {
      const { limit } = calls
      return this.#refuseCommand(id, method, { code: 'OVERLOADED', limit, what: 'calls under way' })
    }
    this.#ids.add(id)
    if (key === 'listPasids') this.#lists += 1
    const began = performance.now()
    try {
      const outcome = message ? run(message) : refuse(NO_COMMAND)
      if (!(outcome instanceof Promise)) return this.#answer(id, key, method, began, outcome)
      outcome.then(
        (answered) => this.#answer(id, key, method, began, answered),
        (error: unknown) => this.#fail(id, method, began, error),
      )
    } catch (error) {
      this.#fail(id, method, began, error)
    }
    this.#readOn()
  }

  #answer<Key extends AnswerKey>(
    id: string,
    key: Key,
    method: string,
    began: number,
    outcome: Outcome<Answer<Key>>,
  ): void {
    const reason = outcome.ok ? 'OK' : outcome.refusal.code
    this.#context.observer.called(method, reason, performance.now() - began)
    this.#left(id)
    if (key === 'listPasids') return this.#answerList(id, outcome)
    if (outcome.ok) return this.#write({ id, [key]: outcome.value })
    const refusal = namedRefusal(outcome.refusal, this.#session?.name)
    this.#write({ id, error: controlError(factsOf(refusal)) })
  }

  #answerList(id: string, outcome: Outcome<Answer<AnswerKey>>): void {
    const taken = (): void => {
      this.#lists -= 1
      this.#answerTaken()
    }
    if (outcome.ok) return this.#write({ id, ['listPasids' as AnswerKey]: outcome.value }, taken)
    const refusal = namedRefusal(outcome.refusal, this.#session?.name)
    this.#write({ id, error: controlError(factsOf(refusal)) }, taken)
  }

  #fail(id: string, method: string, began: number, error: unknown): void {
    this.#context.observer.called(method, INTERNAL_REASON, performance.now() - began)
    this.#left(id)
    this.#write({ id, error: controlError(this.#context.incident(method, error)) })
  }

  #left(id: string): void {
    this.#ids.delete(id)
    this.#context.calls.leave()
  }

  #refuseCommand(id: string, method: string, refusal: Refusal): void {
    this.#context.observer.called(method, refusal.code, 0)
    this.#write({ id, error: controlError(factsOf(refusal)) })
  }

  #write(response: VmmResponse<'Control'>, taken: () => void = this.#answerTaken): void {
    if (this.#life === 'closed') return
    this.#answersUntaken += 1
    if (!this.#call.write(response, taken)) this.#behind = true
    this.#readOn()
    this.#endWhenDone()
  }

  readonly #answerTaken = (): void => {
    this.#answersUntaken -= 1
    this.#readOn()
  }

  /** Reads while there is room for another command and the client takes what it is sent. */
  #readOn(): void {
    if (this.#life !== 'reading') return
    const underWay = this.#ids.size + this.#answersUntaken
    const room = underWay < this.#context.limits.controlInFlight && this.#lists === 0
    const full = this.#behind || !room
    if (full) this.#call.pause()
    else if (this.#call.isPaused()) this.#call.resume()
  }

  /** The transport's own buffer is the queue; this counts what is in it. */
  #deliver(event: SessionEvent): void {
    if (this.#life === 'closed') return
    const { controlEvents } = this.#context.limits
    if (this.#eventsUntaken >= controlEvents) {
      const what = 'events that the client has not taken'
      this.#cut(factsOf({ code: 'OVERLOADED', limit: controlEvents, what }))
      return
    }
    this.#eventsUntaken += 1
    if (!this.#call.write(eventProto(event), this.#eventTaken)) this.#behind = true
    this.#readOn()
    if (event.kind === 'session-ended') this.#finish(undefined)
  }

  readonly #eventTaken = (): void => {
    this.#eventsUntaken -= 1
  }

  /** Reads no more; ends when all that is under way is answered. */
  #finish(end: Reply | undefined): void {
    if (this.#life !== 'reading') return
    this.#life = 'ending'
    this.#end = end
    this.#endWhenDone()
  }

  #endWhenDone(): void {
    if (this.#life !== 'ending' || this.#ids.size > 0) return
    if (this.#end === undefined) {
      this.#close()
      this.#call.end()
    } else this.#cut(this.#end)
  }

  /** Ends with a reason, after what the transport has already been given. */
  #cut(end: Reply): void {
    this.#close()
    this.#call.emit('error', errorResponse(end))
  }

  #close(): void {
    if (this.#life === 'closed') return
    this.#life = 'closed'
    this.#subscription?.close()
    this.#leaveStreams?.()
    // What still comes is read and dropped: grpc-js ends a call only when its input has ended.
    this.#call.resume()
  }
}

/** `Control/AllocatePasids` and so on, made once. */
const METHODS: Readonly<Partial<Record<AnswerKey, string>>> = {
  allocatePasids: 'Control/AllocatePasids',
  freePasids: 'Control/FreePasids',
  listPasids: 'Control/ListPasids',
  attachDevice: 'Control/AttachDevice',
  detachDevice: 'Control/DetachDevice',
  bindPasid: 'Control/BindPasid',
  unbindPasids: 'Control/UnbindPasids',
  invalidate: 'Control/Invalidate',
  respondPageRequest: 'Control/RespondPageRequest',
  getSession: 'Control/GetSession',
}

const OPEN_FIRST: Refusal = {
  code: 'INVALID_ARGUMENT',
  field: 'command',
  value: 'another command',
  bound: 'open, as the first on a stream',
  remedy: 'send open first',
}
const OPEN_AGAIN: Refusal = {
  code: 'INVALID_ARGUMENT',
  field: 'command',
  value: quoted('open'),
  bound: 'once a stream',
  remedy: 'open another stream for another session',
}
const NO_COMMAND: Refusal = {
  code: 'INVALID_ARGUMENT',
  field: 'command',
  value: 'nothing',
  bound: 'one of the commands of ControlRequest',
  remedy: 'set it',
}
