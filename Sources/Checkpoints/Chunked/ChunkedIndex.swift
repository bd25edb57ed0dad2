import KaratBytes
import KaratTensors

/// What a generation of a KCF holds: tensors, attachments, text, and where their chunks are.
///
/// An index of this type was checked: each tensor has the chunks that it needs, and their records
/// lie where records may.
struct ChunkedIndex: Sendable {
  static let mark: [UInt8] = Array("KCFINDEX".utf8)
  static let headByteCount = 64

  /// The generation's trailer.
  let trailer: ChunkedTrailer
  /// Names, types and shapes in the source's order, and text.
  let manifest: Manifest
  /// The attachments, sorted by the bytes of their names.
  let attachments: [ChunkedAttachment]
  /// What chunks may be differences from.
  let base: ChunkedBase?
  /// How many entries there are.
  let entryCount: Int

  /// The number of each tensor's first entry.
  private let firstEntries: [TensorName: Int]
  /// The number of each attachment's first entry.
  private let firstAttachmentEntries: [Int]
  /// The index as it is in the file.
  private let bytes: [UInt8]

  init(
    trailer: ChunkedTrailer,
    bytes: [UInt8],
    texts: ChunkedTexts,
    entryCount: Int
  ) {
    self.trailer = trailer
    self.bytes = bytes
    manifest = texts.manifest
    attachments = texts.attachments
    base = texts.base
    self.entryCount = entryCount
    var first = 0
    var firstEntries = Dictionary<TensorName, Int>(minimumCapacity: manifest.count)
    for name in manifest.names {
      firstEntries[name] = first
      first += ChunkedFormat.chunkCount(manifest[name]?.byteCount ?? 0)
    }
    self.firstEntries = firstEntries
    firstAttachmentEntries = attachments.map { attachment in
      defer { first += ChunkedFormat.chunkCount(attachment.byteCount) }
      return first
    }
  }

  /// Lends the 64 bytes of an entry.
  func withEntryBytes<R>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    bytes.withUnsafeBytes { bytes in
      let start = Self.headByteCount + number * ChunkEntry.byteCount
      return body(bytes.part(start..<start + ChunkEntry.byteCount))
    }
  }

  /// An entry, which was checked when the index was read.
  func entry(_ number: Int) throws(ChunkEntry.Fault) -> ChunkEntry {
    try bytes.span.withUnsafeBytes { bytes throws(ChunkEntry.Fault) in
      let start = Self.headByteCount + number * ChunkEntry.byteCount
      let entry = bytes.part(start..<start + ChunkEntry.byteCount)
      let offset = UInt64(littleEndian: entry.loadUnaligned(as: UInt64.self))
      guard let offset = Int(exactly: offset) else {
        throw ChunkEntry.Fault(message: "its record is to be at byte \(offset), beyond any file.")
      }
      return try ChunkEntry(entry, at: offset)
    }
  }

  /// The numbers of a tensor's entries.
  func entries(of name: TensorName) -> Range<Int>? {
    guard let first = firstEntries[name], let info = manifest[name] else { return nil }
    return first..<first + ChunkedFormat.chunkCount(info.byteCount ?? 0)
  }

  /// The numbers of an attachment's entries.
  func entries(ofAttachment number: Int) -> Range<Int> {
    let first = firstAttachmentEntries[number]
    return first..<first + ChunkedFormat.chunkCount(attachments[number].byteCount)
  }

  /// The lengths of all chunks, in the order of the entries, with what they belong to.
  func forEachChunk<E: Error>(
    _ body: (_ entry: Int, _ owner: Owner, _ byteCount: Int) throws(E) -> Void
  ) throws(E) {
    var entry = 0
    func visit(_ owner: Owner, _ byteCount: Int) throws(E) {
      for chunk in 0..<ChunkedFormat.chunkCount(byteCount) {
        try body(entry, owner, ChunkedFormat.bytes(ofChunk: chunk, of: byteCount).count)
        entry += 1
      }
    }
    for name in manifest.names { try visit(.tensor(name), manifest[name]?.byteCount ?? 0) }
    for attachment in attachments { try visit(.attachment(attachment.name), attachment.byteCount) }
  }

  /// What a chunk belongs to.
  enum Owner: Sendable {
    case tensor(TensorName)
    case attachment(String)
  }
}

extension ChunkedIndex.Owner {
  /// The tensor, or nil where it is an attachment.
  var tensor: TensorName? {
    if case .tensor(let name) = self { name } else { nil }
  }

  /// How the start of a message tells of an attachment.
  var prefix: String {
    if case .attachment(let name) = self {
      "the attachment \(TensorName(name).quoted): "
    } else {
      ""
    }
  }
}
