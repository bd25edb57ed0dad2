/// Decodes ids one by one, while they are generated, and holds back what is not yet a character.
///
/// The texts given out, joined, are what `Tokenizer.decode` makes of all the ids, save for one
/// case: where a run of tokens such as `<0xE2>` stops being UTF-8, `decode` replaces all of the run,
/// and this only what came after its last whole character.
public struct StreamingDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipSpecialTokens: Bool
  /// The last ids that made whole characters: decoding depends on what stands before.
  private var context: [Int32] = []
  /// Ids of which some text was not yet given out.
  private var pending: [Int32] = []
  /// How many bytes of the pending ids' text were given out.
  private var given = 0

  private static let mostPending = 256

  /// Starts a text.
  public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = true) {
    self.tokenizer = tokenizer
    self.skipSpecialTokens = skipSpecialTokens
  }

  /// Takes the next id.
  ///
  /// - Returns: the text that is now certain, perhaps empty.
  public mutating func append(_ id: Int32) -> String {
    guard tokenizer.shownToken(id, skipSpecialTokens: skipSpecialTokens) != nil else { return "" }
    pending.append(id)
    return give(all: pending.count >= Self.mostPending)
  }

  /// Ends the text.
  ///
  /// - Returns: what was held back; bytes that are not UTF-8 are U+FFFD.
  public mutating func finish() -> String { give(all: true) }

  private mutating func give(all: Bool) -> String {
    let before = bytes(context).count
    let text = bytes(context + pending).dropFirst(before)
    let isHeld = !all && endsInByteToken && text.suffix(3).elementsEqual("\u{fffd}".utf8)
    let complete = isHeld ? given : all ? text.count : text.count - incompleteTail(text)
    guard complete >= given else { return "" }
    let new = text.dropFirst(given).prefix(complete - given)
    if complete == text.count {
      context = pending
      pending = []
      given = 0
    } else {
      given = complete
    }
    return String(decoding: new, as: UTF8.self)
  }

  private func bytes(_ ids: [Int32]) -> [UInt8] {
    tokenizer.decodedBytes(ids, skipSpecialTokens: skipSpecialTokens)
  }

  private var endsInByteToken: Bool {
    guard tokenizer.decoder?.joinsByteTokens == true, let last = pending.last else { return false }
    return ByteToken.byte(of: Array((tokenizer.token(for: last) ?? "").utf8)) != nil
  }

  /// How many bytes at the end begin a character that more bytes could complete.
  private func incompleteTail(_ text: ArraySlice<UInt8>) -> Int {
    let tail = text.suffix(3)
    guard let lead = tail.lastIndex(where: { $0 & 0xc0 != 0x80 }), tail[lead] >= 0xc2,
      tail[lead] < 0xf5
    else { return 0 }
    let rest = tail[lead...]
    guard rest.count < UTF8Lead.length(rest[lead]) else { return 0 }
    // Such a beginning is replaced as one; any other has ended already.
    let decoded = String(decoding: rest, as: UTF8.self)
    return decoded.unicodeScalars.count == 1 ? rest.count : 0
  }
}
