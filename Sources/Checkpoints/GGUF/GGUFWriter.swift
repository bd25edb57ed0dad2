import KaratBytes
public import KaratTensors

/// Writes tensors and typed metadata into a GGUF file, a few megabytes in memory at a time.
///
/// The file appears whole or not at all, and the same tensors and metadata always give the same
/// bytes. Tensors are written as they are, blocks included, in the source's order.
public struct GGUFWriter: Sendable {
  /// The typed values that stand before the tensors.
  public var metadata: GGUFMetadata
  /// Whether a file that is there may be replaced.
  public var isReplacing: Bool
  /// Called with the number of bytes of tensors that were written since the last call.
  public var onProgress: (@Sendable (Int) -> Void)?

  /// How many bytes of a tensor are pulled at a time.
  private static let pieceByteCount = 4 << 20

  /// Makes a writer.
  public init(
    metadata: GGUFMetadata = GGUFMetadata(),
    replacing isReplacing: Bool = false,
    onProgress: (@Sendable (Int) -> Void)? = nil
  ) {
    self.metadata = metadata
    self.isReplacing = isReplacing
    self.onProgress = onProgress
  }

  /// Writes all tensors of a source.
  ///
  /// - Throws: `CheckpointError` where the target exists and may not be replaced, the disk is full
  ///   or fails, a tensor cannot be had, or the format cannot hold one; no file is left then.
  public func write(_ source: some TensorSource, to path: String) throws(CheckpointError) {
    let layout = try GGUFLayout(source.manifest, metadata: metadata, file: path)
    var file = try CheckpointError.onFiles { () throws(FileError) in
      try AtomicFile(path, replacing: isReplacing)
    }
    try CheckpointError.onFiles { () throws(FileError) in try file.write(layout.header) }
    for entry in layout.entries {
      try write(entry, of: source, into: &file, path: path)
      let padding = [UInt8](repeating: 0, count: entry.padding)
      try CheckpointError.onFiles { () throws(FileError) in try file.write(padding) }
    }
    do throws(FileError) {
      try file.commit()
    } catch {
      throw CheckpointError(error)
    }
  }

  private func write(
    _ entry: GGUFLayout.Entry,
    of source: some TensorSource,
    into file: inout AtomicFile,
    path: String
  ) throws(CheckpointError) {
    let block = entry.info.dtype.block
    let step = Self.pieceByteCount / block.bytes * block.elements
    let count = entry.info.shape.elementCount
    for start in stride(from: 0, to: count, by: step) {
      let range = start..<min(start + step, count)
      let piece = try source.elements(range, of: entry.name)
      guard piece.dtype == entry.info.dtype, piece.shape == [range.count] else {
        throw CheckpointError(
          .malformed,
          file: path,
          tensor: entry.name,
          "what came is \(piece.dtype.rawValue) of shape \(piece.shape); elements \(range) of"
            + " \(entry.info.dtype.rawValue) were asked for."
        )
      }
      try CheckpointError.onFiles { () throws(FileError) in
        try piece.withBytes { bytes throws(FileError) in try file.write(bytes) }
      }
      onProgress?(piece.byteCount)
    }
  }
}
