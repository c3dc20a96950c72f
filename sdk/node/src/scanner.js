/** Walks JSON in place: it checks all of it (RFC 8259) and builds nothing. Nesting may be of any depth. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

/** The characters that may follow a backslash, apart from the u of a code point. */
const ESCAPED = new Set(Buffer.from('"\\/bfnrt'));
const LITERALS = ['true', 'false', 'null'];

/** Every method throws a SyntaxError where the text is no JSON. */
export class Scanner {
  /** Where the newest key stands in `bytes`, without its quotes. */
  keyFrom = 0;
  keyTo = 0;
  keyHasEscapes = false;
  /** Whether there were bytes that are not ASCII: whether they are UTF-8 has not been looked at. */
  hasMore = false;
  /** What ends the arrays and objects around the present value. */
  closers = [];
  #isFirst = true;

  /** @param {Buffer} bytes UTF-8 */
  constructor(bytes) {
    this.bytes = bytes;
    /** The next byte to be read. */
    this.at = 0;
  }

  /** Goes into the object that the text must be. */
  enter() {
    this.#space();
    if (this.bytes[this.at] !== OPEN_OBJECT) this.#fail('an object is expected');
    this.at += 1;
  }

  /** Goes to the value of the object's next field; false at its end, which must be that of the text. */
  nextField() {
    this.#space();
    if (this.bytes[this.at] === CLOSE_OBJECT) {
      // A comma before it would have led to a key.
      this.at += 1;
      this.#space();
      if (this.at < this.bytes.length) this.#fail('nothing may follow the object');
      return false;
    }
    if (!this.#isFirst) this.#take(COMMA, 'a comma or a closing brace is expected');
    this.#isFirst = false;
    this.#key();
    return true;
  }

  /** Passes over a value, whatever it is. */
  skipValue() {
    const closers = this.closers;
    for (;;) {
      if (this.#opens()) continue;
      // A value ends here, and with it perhaps the arrays and objects around it.
      for (;;) {
        if (closers.length === 0) return;
        this.#space();
        const closer = closers[closers.length - 1];
        if (this.bytes[this.at] === closer) {
          closers.pop();
          this.at += 1;
          continue;
        }
        this.#take(COMMA, 'a comma or a closing bracket is expected');
        if (closer === CLOSE_OBJECT) this.#key();
        else this.#space();
        break;
      }
    }
  }

  /** The text of a string between two places, with its escapes resolved. */
  text(from, to) {
    const text = this.bytes.utf8Slice(from, to);
    if (!text.includes('\\')) return text;
    const resolved = JSON.parse(`"${text}"`);
    // Half of a pair of surrogates is no character.
    if (/\p{Surrogate}/u.test(resolved)) this.#fail('half of a surrogate pair');
    return resolved;
  }

  /** Reads the start of a value, or a whole one; true where it has led into an array or an object that is not empty. */
  #opens() {
    const { bytes } = this;
    const first = bytes[this.at];
    if (first === QUOTE) {
      this.#string();
    } else if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
      const closer = first === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY;
      this.at += 1;
      this.#space();
      if (bytes[this.at] !== closer) {
        this.closers.push(closer);
        if (closer === CLOSE_OBJECT) this.#key();
        return true;
      }
      this.at += 1;
    } else if (first === MINUS || (first >= ZERO && first <= NINE)) {
      this.#number();
    } else {
      const literal = LITERALS.find((text) => bytes.toString('latin1', this.at, this.at + text.length) === text);
      if (literal === undefined) this.#fail('a value is expected');
      this.at += literal.length;
    }
    return false;
  }

  #key() {
    this.#space();
    if (this.bytes[this.at] !== QUOTE) this.#fail('a key is expected');
    this.keyFrom = this.at + 1;
    this.keyHasEscapes = this.#string();
    this.keyTo = this.at - 1;
    this.#space();
    this.#take(COLON, 'a colon is expected');
    this.#space();
  }

  /** Whether it has escapes. */
  #string() {
    const { bytes } = this;
    let at = this.at + 1;
    let all = 0;
    let hasEscapes = false;
    for (;;) {
      const byte = bytes[at];
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        hasEscapes = true;
        at += 2;
        if (!ESCAPED.has(bytes[at - 1])) {
          const isCodePoint = /^u[0-9A-Fa-f]{4}$/.test(bytes.toString('latin1', at - 1, at + 4));
          if (!isCodePoint) this.#fail('a string has a wrong escape');
          at += 4;
        }
      } else if (byte >= 0x20) {
        all |= byte;
        at += 1;
      } else {
        this.#fail('a string has a control character, or does not end');
      }
    }
    this.at = at + 1;
    if (all > 0x7f) this.hasMore = true;
    return hasEscapes;
  }

  #number() {
    const { bytes } = this;
    if (bytes[this.at] === MINUS) this.at += 1;
    if (bytes[this.at] === ZERO) this.at += 1;
    else this.#digits();
    if (bytes[this.at] === 0x2e) {
      this.at += 1;
      this.#digits();
    }
    if (bytes[this.at] === 0x65 || bytes[this.at] === 0x45) {
      this.at += 1;
      if (bytes[this.at] === 0x2b || bytes[this.at] === MINUS) this.at += 1;
      this.#digits();
    }
  }

  #digits() {
    const { bytes } = this;
    const from = this.at;
    while (bytes[this.at] >= ZERO && bytes[this.at] <= NINE) this.at += 1;
    if (this.at === from) this.#fail('a digit is expected');
  }

  #space() {
    const { bytes } = this;
    for (;;) {
      const byte = bytes[this.at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.at += 1;
    }
  }

  #take(byte, otherwise) {
    if (this.bytes[this.at] !== byte) this.#fail(otherwise);
    this.at += 1;
  }

  #fail(what) {
    throw new SyntaxError(`${what} at byte ${Math.min(this.at, this.bytes.length)}`);
  }
}
