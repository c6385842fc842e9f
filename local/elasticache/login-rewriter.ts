import { Transform, type TransformCallback } from 'node:stream';

/** Gives the password by which the server knows a user whose token was accepted; `undefined` leaves the token as it is. */
export type PasswordFor = (user: string, token: string) => string | undefined;

const MAX_LOGIN_BYTES = 64 * 1024;
const CRLF = Buffer.from('\r\n');

/** Nothing can be said of the command before more of it has arrived. */
const INCOMPLETE = Symbol('incomplete');

/**
 * The stream of commands from a client to a server, in which the token of each `AUTH user token` and `HELLO 3 AUTH user
 * token` is replaced by the user's password. Everything else passes as it came, and no value is held back or copied.
 * Format: Redis serialization protocol specification, "Sending commands to a Redis server": arrays of bulk strings.
 * Inline commands, which no client library sends, pass unread.
 */
export class LoginRewriter extends Transform {
  private held: Buffer = Buffer.alloc(0);
  /** Bytes of the current bulk string, with its end, that have not passed yet. */
  private passing = 0;
  private argumentsLeft = 0;

  constructor(private readonly passwordFor: PasswordFor) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const input = this.held.length > 0 ? Buffer.concat([this.held, chunk]) : chunk;
    let position = 0;
    let sent = 0;
    while (position < input.length) {
      if (this.passing > 0) {
        const step = Math.min(this.passing, input.length - position);
        this.passing -= step;
        position += step;
        continue;
      }
      if (this.argumentsLeft === 0) {
        const login = readLogin(input, position);
        if (login === INCOMPLETE) break;
        if (login) {
          this.push(input.subarray(sent, position));
          this.push(this.rewritten(login.arguments));
          position = login.end;
          sent = position;
          continue;
        }
      }
      const line = readLine(input, position);
      if (line === INCOMPLETE) break;
      this.step(line.text);
      position = line.end;
    }
    this.push(input.subarray(sent, position));
    this.held = input.subarray(position);
    done(this.held.length > MAX_LOGIN_BYTES ? new Error('a login is longer than any token') : null);
  }

  override _flush(done: TransformCallback): void {
    this.push(this.held);
    done();
  }

  private step(line: string): void {
    const number = Number(line.slice(1));
    if (this.argumentsLeft > 0) {
      this.argumentsLeft -= 1;
      this.passing = line.startsWith('$') && number >= 0 ? number + CRLF.length : 0;
    } else if (line.startsWith('*') && number > 0) {
      this.argumentsLeft = number;
    }
  }

  private rewritten(words: readonly string[]): Buffer {
    const auth = words[0]?.toUpperCase() === 'AUTH' ? 0 : words.findIndex((word, i) => i > 0 && /^auth$/i.test(word));
    const isNamed = auth > 0 || words.length === 3;
    const [user, token] = isNamed && auth >= 0 ? [words[auth + 1], words[auth + 2]] : [];
    const password = user !== undefined && token !== undefined ? this.passwordFor(user, token) : undefined;
    return encodeCommand(words.map((word, i) => (password !== undefined && i === auth + 2 ? password : word)));
  }
}

function readLine(input: Buffer, start: number): { text: string; end: number } | typeof INCOMPLETE {
  const end = input.indexOf(CRLF, start);
  return end < 0 ? INCOMPLETE : { text: input.toString('latin1', start, end), end: end + CRLF.length };
}

/** The words of a command that logs in, `undefined` when the command is another. */
function readLogin(input: Buffer, start: number): { arguments: string[]; end: number } | typeof INCOMPLETE | undefined {
  const head = readLine(input, start);
  if (head === INCOMPLETE) return input[start] === 0x2a ? INCOMPLETE : undefined;
  const count = Number(head.text.slice(1));
  if (!head.text.startsWith('*') || !(count > 0)) return undefined;
  const words: string[] = [];
  let position = head.end;
  for (let index = 0; index < count; index += 1) {
    const length = readLine(input, position);
    if (length === INCOMPLETE) return INCOMPLETE;
    const size = Number(length.text.slice(1));
    const end = length.end + size + CRLF.length;
    if (index === 0 && size !== 'AUTH'.length && size !== 'HELLO'.length) return undefined;
    if (!Number.isInteger(size) || size < 0 || size > MAX_LOGIN_BYTES) return undefined;
    if (end > input.length) return INCOMPLETE;
    const word = input.toString('utf8', length.end, length.end + size);
    if (index === 0 && !/^(auth|hello)$/i.test(word)) return undefined;
    words.push(word);
    position = end;
  }
  return { arguments: words, end: position };
}

function encodeCommand(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join('')}`);
}
