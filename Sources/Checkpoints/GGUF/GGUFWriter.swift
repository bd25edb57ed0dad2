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
    var padding = layout.padding[...]
    let stream = try TensorStream(source.manifest.names, of: source)
    try stream.forEach { piece, tensor throws(CheckpointError) in
      try CheckpointError.onFiles { () throws(FileError) in
        try tensor.withBytes { bytes throws(FileError) in try file.write(bytes) }
        guard piece.elements.upperBound == source.manifest[piece.name]?.shape.elementCount else {
          return
        }
        try file.write([UInt8](repeating: 0, count: padding.removeFirst()))
      }
      onProgress?(tensor.byteCount)
    }
    do throws(FileError) {
      try file.commit()
    } catch {
      throw CheckpointError(error)
    }
  }
}
