import KaratBytes
import KaratTensors

/// Reads the index of a generation, and checks all that can be checked without its records.
struct ChunkedIndexParser {
  private let path: String
  private let trailer: ChunkedTrailer
  private let bytes: UnsafeRawBufferPointer
  private var cursor: ByteCursor

  private struct Counts {
    var tensors, attachments, pairs, depth, entries, texts: Int
  }

  /// Reads and checks an index.
  ///
  /// - Parameters:
  ///   - bytes: the index, whose digest was checked.
  ///   - trailer: the trailer of its generation.
  ///   - path: the file, for messages.
  /// - Returns: the index.
  /// - Throws: `CheckpointError` where it breaks a rule.
  static func parse(
    _ bytes: [UInt8],
    _ trailer: ChunkedTrailer,
    of path: String
  ) throws(CheckpointError) -> ChunkedIndex {
    let (counts, texts, infos) = try bytes.span.withUnsafeBytes { buffer throws(CheckpointError) in
      var parser = ChunkedIndexParser(
        path: path,
        trailer: trailer,
        bytes: buffer,
        cursor: ByteCursor(buffer)
      )
      return try parser.parse()
    }
    let index = ChunkedIndex(
      trailer: trailer,
      bytes: bytes,
      texts: texts,
      infos: infos,
      entryCount: counts.entries
    )
    try index.checkEntries(file: path)
    return index
  }

  private mutating func parse() throws(CheckpointError) -> (Counts, ChunkedTexts, [TensorInfo]) {
    let counts = try head()
    _ = try run(counts.entries * ChunkEntry.byteCount, "the entries")
    var names: [TensorName] = []
    var infos: [TensorInfo] = []
    names.reserveCapacity(counts.tensors)
    infos.reserveCapacity(counts.tensors)
    var needed = 0
    for _ in 0..<counts.tensors {
      let (name, info) = try tensor()
      names.append(name)
      infos.append(info)
      needed = try sum(needed, ChunkedFormat.chunkCount(info.byteCount ?? 0), counts.entries)
    }
    var texts: ChunkedTexts
    do throws(Manifest.Duplicate) {
      texts = ChunkedTexts(manifest: try Manifest(names, infos))
    } catch {
      throw malformed(tensor: error.name, "it is there twice.")
    }
    for _ in 0..<counts.attachments {
      let attachment = try attachment(after: texts.attachments.last?.name)
      texts.attachments.append(attachment)
      needed = try sum(needed, ChunkedFormat.chunkCount(attachment.byteCount), counts.entries)
    }
    guard needed == counts.entries else {
      throw malformed("it has \(counts.entries) chunk entries; the tensors need \(needed).")
    }
    if let folder = ChunkedAttachment.conflict(in: texts.attachments.map(\.name)) {
      throw malformed(
        "the attachment \(TensorName(folder).quoted) is the folder of another attachment."
      )
    }
    try pairs(counts.pairs, into: &texts.manifest)
    if counts.depth > 0 { texts.base = try base(depth: counts.depth) }
    let end = ChunkedIndex.headByteCount + counts.entries * ChunkEntry.byteCount + counts.texts
    guard cursor.offset == end else {
      throw malformed("its texts end at byte \(cursor.offset); its head says byte \(end).")
    }
    let padding = try run(cursor.left, "padding")
    guard padding.count < ChunkedFormat.alignment, ChunkedFormat.isZero(padding) else {
      throw malformed("its last \(padding.count) bytes are no padding of zeros.")
    }
    return (counts, texts, infos)
  }

  private mutating func head() throws(CheckpointError) -> Counts {
    guard bytes.starts(with: ChunkedIndex.mark) else { throw malformed("its mark is wrong.") }
    _ = try run(ChunkedIndex.mark.count, "the mark")
    let generation: UInt64 = try number("the generation")
    guard generation == UInt64(trailer.generation) else {
      throw malformed("it is of generation \(generation); the trailer, \(trailer.generation).")
    }
    let tensors: UInt32 = try number("the number of tensors")
    let attachments: UInt32 = try number("the number of attachments")
    let pairs: UInt32 = try number("the number of pairs")
    let depth: UInt32 = try number("the depth")
    let entries: UInt64 = try number("the number of entries")
    let texts: UInt64 = try number("the length of the texts")
    guard ChunkedFormat.isZero(try run(16, "reserved bytes")) else {
      throw malformed("the reserved bytes of its head are not all zero.")
    }
    // What a file says of itself is compared with what is there before anything is set aside.
    for (count, limit, what) in [
      (tensors, ChunkedFormat.mostTensors, "tensors"),
      (attachments, ChunkedFormat.mostAttachments, "attachments"),
      (pairs, ChunkedFormat.mostPairs, "pairs of metadata"),
      (depth, ChunkedFormat.deepestBase, "bases one behind the other"),
    ] where count > UInt32(limit) {
      throw malformed("it tells of \(count) \(what); at most \(limit) are allowed.")
    }
    guard entries <= UInt64(cursor.left / ChunkEntry.byteCount) else {
      throw malformed("it tells of \(entries) chunk entries; its \(cursor.left) bytes hold fewer.")
    }
    let left = cursor.left - Int(entries) * ChunkEntry.byteCount
    guard texts <= UInt64(left) else {
      throw malformed("it tells of \(texts) bytes of texts; \(left) are left for them.")
    }
    let least = Int(tensors) * 8 + Int(attachments) * 48 + Int(pairs) * 8 + (depth > 0 ? 40 : 0)
    guard least <= Int(texts) else {
      throw malformed(
        "its \(tensors) tensors, \(attachments) attachments and \(pairs) pairs take at least"
          + " \(least) bytes; it has \(texts) for them."
      )
    }
    return Counts(
      tensors: Int(tensors),
      attachments: Int(attachments),
      pairs: Int(pairs),
      depth: Int(depth),
      entries: Int(entries),
      texts: Int(texts)
    )
  }

  private mutating func tensor() throws(CheckpointError) -> (TensorName, TensorInfo) {
    let code: UInt16 = try number("a type")
    let rank: UInt16 = try number("a rank")
    let length: UInt32 = try number("a name's length")
    guard rank <= UInt16(ChunkedFormat.highestRank) else {
      throw malformed(
        "a tensor has rank \(rank); at most \(ChunkedFormat.highestRank) are allowed."
      )
    }
    var extents: [UInt64] = []
    for _ in 0..<rank { extents.append(try number("an extent")) }
    guard length <= UInt32(ChunkedFormat.longestName) else {
      throw malformed(
        "a tensor's name has \(length) bytes; at most \(ChunkedFormat.longestName) are allowed."
      )
    }
    let name = TensorName(try text(length, "a tensor's name"))
    guard !name.text.utf8.contains(0) else {
      throw malformed(tensor: name, "its name has a zero byte.")
    }
    guard let dtype = ChunkedTypeCode.dtype(of: code) else {
      throw CheckpointError(
        .unsupported,
        file: path,
        tensor: name,
        ChunkedTypeCode.name(of: code).map { "its type \($0) is not read." }
          ?? "its type has the unknown number \(code)."
      )
    }
    let dimensions = extents.compactMap { Int(exactly: $0) }
    guard dimensions.count == extents.count, let shape = Shape(checking: dimensions) else {
      throw malformed(tensor: name, "the product of the extents \(extents) is not below 2^63.")
    }
    guard dtype.byteCount(elementCount: shape.elementCount) != nil else {
      throw malformed(
        tensor: name,
        "shape \(shape) of \(dtype.rawValue) fills no whole blocks of \(dtype.block.elements), or"
          + " takes 2^63 bytes and more."
      )
    }
    return (name, TensorInfo(dtype, shape))
  }

  private mutating func attachment(
    after last: String?
  ) throws(CheckpointError) -> ChunkedAttachment {
    let length: UInt64 = try number("an attachment's length")
    let nameLength: UInt32 = try number("a name's length")
    let reserved: UInt32 = try number("reserved bytes")
    let digest = Array(try run(32, "an attachment's digest"))
    let name = try text(nameLength, "an attachment's name")
    func malformed(_ message: String) -> CheckpointError {
      self.malformed("the attachment \(TensorName(name).quoted): \(message)")
    }
    guard reserved == 0 else { throw malformed("its reserved bytes are not zero.") }
    if let objection = ChunkedAttachment.objection(to: name) { throw malformed(objection) }
    guard length <= UInt64(ChunkedAttachment.largestByteCount) else {
      throw malformed(
        "it has \(length) bytes; at most \(ChunkedAttachment.largestByteCount) are allowed."
      )
    }
    if let last, !last.utf8.lexicographicallyPrecedes(name.utf8) {
      throw malformed("it follows \(TensorName(last).quoted); names are sorted, each once.")
    }
    return ChunkedAttachment(
      name: name,
      byteCount: Int(length),
      digest: SHA256Digest(bytes: digest)
    )
  }

  private mutating func pairs(
    _ count: Int,
    into manifest: inout Manifest
  ) throws(CheckpointError) {
    var last: String?
    for _ in 0..<count {
      let keyLength: UInt32 = try number("a key's length")
      let valueLength: UInt32 = try number("a value's length")
      let key = try text(keyLength, "a key of metadata")
      let value = try text(valueLength, "a value of metadata")
      if let last, !last.utf8.lexicographicallyPrecedes(key.utf8) {
        throw malformed(
          "the key \(TensorName(key).quoted) follows \(TensorName(last).quoted); keys are sorted,"
            + " each once."
        )
      }
      guard manifest.metadata.updateValue(value, forKey: key) == nil else {
        throw malformed(
          "the key \(TensorName(key).quoted) is there twice in different spellings of the same"
            + " characters."
        )
      }
      last = key
    }
  }

  private mutating func base(depth: Int) throws(CheckpointError) -> ChunkedBase {
    let root = Array(try run(32, "the base's root"))
    let length: UInt32 = try number("the length of the base's path")
    let reserved: UInt32 = try number("reserved bytes")
    let base = try text(length, "the base's path")
    guard reserved == 0 else { throw malformed("the reserved bytes of the base are not zero.") }
    if let objection = ChunkedBase.objection(to: base) {
      throw malformed("the path of the base, \(TensorName(base).quoted): \(objection)")
    }
    return ChunkedBase(root: SHA256Digest(bytes: root), path: base, depth: depth)
  }

  /// Adds up chunks, which are at most as many as there are entries.
  private func sum(_ one: Int, _ other: Int, _ entries: Int) throws(CheckpointError) -> Int {
    let (sum, overflow) = one.addingReportingOverflow(other)
    guard !overflow, sum <= entries else {
      throw malformed("it has \(entries) chunk entries; the tensors need more.")
    }
    return sum
  }

  private mutating func number<T: FixedWidthInteger & BitwiseCopyable>(
    _ what: String
  ) throws(CheckpointError) -> T {
    do throws(ByteCursor.Truncation) {
      return try cursor.integer()
    } catch {
      throw truncated(error, what)
    }
  }

  private mutating func run(
    _ count: Int,
    _ what: String
  ) throws(CheckpointError) -> UnsafeRawBufferPointer {
    do throws(ByteCursor.Truncation) {
      return try cursor.run(UInt64(count))
    } catch {
      throw truncated(error, what)
    }
  }

  private mutating func text(_ count: UInt32, _ what: String) throws(CheckpointError) -> String {
    let start = cursor.offset
    guard let text = String(validating: try run(Int(count), what), as: UTF8.self) else {
      throw malformed("\(what) at its byte \(start) is not UTF-8.")
    }
    return text
  }

  private func truncated(_ error: ByteCursor.Truncation, _ what: String) -> CheckpointError {
    malformed(
      "\(what) at its byte \(error.offset) takes \(error.needed) bytes; \(bytes.count) bytes are all"
        + " that it has."
    )
  }

  private func malformed(tensor: TensorName? = nil, _ message: String) -> CheckpointError {
    CheckpointError(
      .malformed,
      file: path,
      tensor: tensor,
      "the index at byte \(trailer.indexRange.lowerBound): \(message)"
    )
  }
}
