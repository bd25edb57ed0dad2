public import KaratBytes

/// Why two tokenizers' ids do not mean the same tokens.
public struct VocabularyError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where, what is, what was needed, and what to do.
  public let description: String

  /// Describes what differs.
  public init(_ description: String) {
    self.description = description
  }
}

extension Tokenizer {
  /// Checks that every id means the same token for a student and its teacher, added tokens included.
  ///
  /// The tokens' bytes are compared, not their number: two vocabularies of one size may hold other
  /// tokens.
  ///
  /// - Parameters:
  ///   - teacher: the teacher's tokenizer.
  ///   - student: what the student, whose tokenizer this is, is called in messages.
  ///   - teacherName: what the teacher is called in messages.
  /// - Throws: `VocabularyError` naming the first id that differs, and both tokens.
  public func checkVocabulary(
    against teacher: Tokenizer,
    student: String,
    teacher teacherName: String
  ) throws(VocabularyError) {
    let count = max(vocabularySize, teacher.vocabularySize)
    var first: Int32?
    var differing = 0
    for id in 0..<Int32(count) where bytes(of: id) != teacher.bytes(of: id) {
      differing += 1
      if first == nil { first = id }
    }
    guard let first else { return }
    throw VocabularyError(
      "\(student): id \(first) is \(described(first)); for the teacher, \(teacherName), it is "
        + "\(teacher.described(first)). \(differing) of \(count) ids differ, and a student learns "
        + "from probabilities of the same tokens. Choose a student and a teacher that share a "
        + "tokenizer, or let the student learn on text that the teacher writes."
    )
  }

  /// The digest of the map from ids to tokens: equal where `checkVocabulary` finds no difference.
  public var vocabularyDigest: SHA256Digest {
    var accumulator = SHA256Digest.Accumulator()
    func append(_ number: Int) {
      withUnsafeBytes(of: UInt64(number).littleEndian) { accumulator.append($0) }
    }
    for id in 0..<Int32(vocabularySize) {
      guard let token = bytes(of: id) else { continue }
      append(Int(id))
      append(token.count)
      token.withUnsafeBytes { accumulator.append($0) }
    }
    return accumulator.digest
  }

  private func bytes(of id: Int32) -> [UInt8]? { shownToken(id, skipSpecialTokens: false) }

  private func described(_ id: Int32) -> String {
    guard let bytes = bytes(of: id) else { return "no token" }
    let text = String(decoding: bytes, as: UTF8.self)
    let escaped = text.unicodeScalars.map { scalar in
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: scalar.escaped(asASCII: true)
      default: String(scalar)
      }
    }
    return "'\(escaped.joined())'"
  }
}
