import KaratBytes
import KaratTensors

/// What an index says besides the entries: tensors, attachments, metadata and the base.
struct ChunkedTexts: Sendable {
  var manifest: Manifest
  var attachments: [ChunkedAttachment] = []
  var base: ChunkedBase?

  /// The texts as they are in an index.
  ///
  /// - Throws: `CheckpointError` where KCF cannot hold one of them.
  func encoded(file path: String) throws(CheckpointError) -> [UInt8] {
    var bytes: [UInt8] = []
    for name in manifest.names {
      guard let info = manifest[name] else { continue }
      func unsupported(_ message: String) -> CheckpointError {
        CheckpointError(.unsupported, file: path, tensor: name, message)
      }
      guard let code = ChunkedTypeCode.code(of: info.dtype) else {
        throw unsupported("KCF has no number for \(info.dtype.rawValue).")
      }
      guard info.shape.rank <= ChunkedFormat.highestRank else {
        throw unsupported(
          "its rank is \(info.shape.rank); KCF holds ranks up to \(ChunkedFormat.highestRank)."
        )
      }
      guard name.text.utf8.count <= ChunkedFormat.longestName, !name.text.utf8.contains(0) else {
        throw unsupported(
          "its name has \(name.text.utf8.count) bytes or a zero byte; KCF holds names of up to"
            + " \(ChunkedFormat.longestName) bytes without."
        )
      }
      bytes.append(littleEndian: code)
      bytes.append(littleEndian: UInt16(info.shape.rank))
      bytes.append(littleEndian: UInt32(name.text.utf8.count))
      for extent in info.shape.dimensions { bytes.append(littleEndian: UInt64(extent)) }
      bytes += name.text.utf8
    }
    for attachment in attachments {
      bytes.append(littleEndian: UInt64(attachment.byteCount))
      bytes.append(littleEndian: UInt32(attachment.name.utf8.count))
      bytes.append(littleEndian: 0 as UInt32)
      bytes += attachment.digest.bytes
      bytes += attachment.name.utf8
    }
    let pairs = manifest.metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for (key, value) in pairs {
      bytes.append(littleEndian: UInt32(clamping: key.utf8.count))
      bytes.append(littleEndian: UInt32(clamping: value.utf8.count))
      bytes += key.utf8
      bytes += value.utf8
    }
    if let base {
      bytes += base.root.bytes
      bytes.append(littleEndian: UInt32(base.path.utf8.count))
      bytes.append(littleEndian: 0 as UInt32)
      bytes += base.path.utf8
    }
    return bytes
  }
}

extension ChunkedIndex {
  /// The index of some texts and entries, as it is in a file.
  ///
  /// - Throws: `CheckpointError` where KCF cannot hold so much, or one of the texts.
  static func encoded(
    generation: Int,
    texts: ChunkedTexts,
    entries: [UInt8],
    file path: String
  ) throws(CheckpointError) -> [UInt8] {
    let encoded = try texts.encoded(file: path)
    let counts = [
      (texts.manifest.count, ChunkedFormat.mostTensors, "tensors"),
      (texts.attachments.count, ChunkedFormat.mostAttachments, "attachments"),
      (texts.manifest.metadata.count, ChunkedFormat.mostPairs, "pairs of metadata"),
      (
        headByteCount + entries.count + encoded.count + ChunkedFormat.alignment,
        ChunkedFormat.largestIndex, "bytes of index"
      ),
    ]
    for (count, limit, what) in counts where count > limit {
      throw CheckpointError(
        .unsupported,
        file: path,
        "it would have \(count) \(what); KCF holds \(limit) at most."
      )
    }
    var bytes = mark
    bytes.append(littleEndian: UInt64(generation))
    for (count, _, _) in counts[..<3] { bytes.append(littleEndian: UInt32(count)) }
    bytes.append(littleEndian: UInt32(texts.base?.depth ?? 0))
    bytes.append(littleEndian: UInt64(entries.count / ChunkEntry.byteCount))
    bytes.append(littleEndian: UInt64(encoded.count))
    bytes.pad(to: headByteCount)
    bytes += entries
    bytes += encoded
    bytes.pad(to: ChunkedFormat.aligned(bytes.count) ?? bytes.count)
    return bytes
  }
}
