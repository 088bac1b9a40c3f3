/**
 * Processes that do what a test says, as whatever user: test/helpers/adversary-agent.mjs at the
 * other end. They come to a control socket of the test, so that one which another has spawned, or
 * which has become another user, is as near as any. Holds: what is spawned here ends with `stop`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import readline from 'node:readline'

const AGENT = path.resolve(import.meta.dirname, '../helpers/adversary-agent.mjs')
const HELLO_MS = 60_000

export interface User {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
}

export type Message = Readonly<Record<string, unknown>>

export interface Refused {
  readonly ok: false
  readonly code: number
  readonly reason: string
  readonly message: string
  readonly metadata: Readonly<Record<string, string>>
}

export type Answer = { readonly ok: true; readonly value: Message } | Refused

export interface ControlAnswers {
  readonly opened: Answer
  readonly answers: readonly Answer[]
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** One process; every request is answered, or fails when the process has ended. */
export class Agent {
  readonly ended: Promise<void>
  readonly #waiting = new Map<number, Waiting>()
  #next = 1

  constructor(
    readonly name: string,
    /** As it sees itself; in a pid namespace of its own that is not what we see. */
    readonly pid: number,
    private readonly connection: net.Socket,
    lines: readline.Interface,
  ) {
    lines.on('line', (line) => this.#take(line))
    this.ended = new Promise((resolve) => {
      connection.once('close', () => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`${name} has ended`))
        this.#waiting.clear()
        resolve()
      })
    })
  }

  #take(line: string): void {
    const { id, value, error } = JSON.parse(line) as { id: number; value: unknown; error?: string }
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(value)
    else waiting?.reject(new Error(`${this.name}: ${error}`))
  }

  ask<T>(what: string, request: object): Promise<T> {
    const id = this.#next
    this.#next += 1
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject })
      this.connection.write(`${JSON.stringify({ ...request, id, what })}\n`)
    })
  }

  /** `method` is `PasidBroker/GetSession` and the like. */
  call(socket: string, method: string, message: object, token?: string): Promise<Answer> {
    return this.ask('call', { socket, method, message, token })
  }

  /** @throws when the answer is no */
  async must(socket: string, method: string, message: object, token?: string): Promise<Message> {
    const answer = await this.call(socket, method, message, token)
    if (!answer.ok) throw new Error(`${this.name}: ${method}: ${answer.reason} ${answer.message}`)
    return answer.value
  }

  disconnect(): void {
    this.connection.destroy()
  }
}

export class Agents {
  readonly #server: net.Server
  readonly #path: string
  readonly #children: ChildProcess[] = []
  readonly #arrived = new Map<string, Agent>()
  readonly #awaited = new Map<string, (agent: Agent) => void>()

  private constructor(server: net.Server, file: string) {
    this.#server = server
    this.#path = file
    server.on('connection', (connection) => this.#meet(connection))
  }

  /** Whose control socket is in the folder, for every user. */
  static async start(folder: string): Promise<Agents> {
    const file = path.join(folder, 'agents')
    const server = net.createServer()
    await new Promise<void>((resolve) => server.listen(file, resolve))
    fs.chmodSync(file, 0o666)
    return new Agents(server, file)
  }

  #meet(connection: net.Socket): void {
    connection.on('error', () => undefined)
    const lines = readline.createInterface({ input: connection })
    lines.once('line', (line) => {
      const { hello, pid } = JSON.parse(line) as { hello: string; pid: number }
      const agent = new Agent(hello, pid, connection, lines)
      this.#arrived.set(hello, agent)
      this.#awaited.get(hello)?.(agent)
    })
  }

  /** One that is spawned here, or by another agent. @throws when it does not come */
  expect(name: string): Promise<Agent> {
    const there = this.#arrived.get(name)
    if (there !== undefined) return Promise.resolve(there)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${name} does not come`)), HELLO_MS)
      this.#awaited.set(name, (agent) => {
        clearTimeout(timer)
        resolve(agent)
      })
    })
  }

  /** `before` is put before node, and makes the user of it; without either it is ours. */
  spawn(
    name: string,
    { user, before = [] }: { readonly user?: User; readonly before?: readonly string[] } = {},
  ): ChildProcess & { readonly pid: number } {
    const become =
      user === undefined ? [] : [String(user.uid), String(user.gid), user.groups.join()]
    const command = [...before, process.execPath, AGENT, this.#path, name, ...become]
    const [program = '', ...args] = command
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    this.#children.push(child)
    return Object.assign(child, { pid: child.pid ?? -1 })
  }

  async start(name: string, user?: User): Promise<Agent> {
    this.spawn(name, user === undefined ? {} : { user })
    return this.expect(name)
  }

  async stop(): Promise<void> {
    for (const agent of this.#arrived.values()) agent.disconnect()
    for (const child of this.#children) child.kill('SIGKILL')
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** Processes that do nothing, to own things. */
export class Sleepers {
  readonly #children: ChildProcess[] = []

  start(user?: User): number {
    const ids = user === undefined ? {} : { uid: user.uid, gid: user.gid }
    const child = spawn('sleep', ['1000'], { stdio: 'ignore', ...ids })
    this.#children.push(child)
    return child.pid ?? -1
  }

  stop(): void {
    for (const child of this.#children.splice(0)) child.kill('SIGKILL')
  }
}
