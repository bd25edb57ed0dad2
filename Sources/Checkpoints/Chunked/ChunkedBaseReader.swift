import KaratBytes
import KaratTensors
import Synchronization

/// The base of a KCF, which is opened when the first chunk needs it.
///
/// A file can so be inspected where its base is not at hand.
final class ChunkedBaseReader: Sendable {
  private let base: ChunkedBase
  private let file: String
  private let state: Mutex<Opened?>

  private struct Opened {
    let source: any TensorSource
    /// Sorted by the bytes of their names.
    let names: [TensorName]
  }

  /// Prepares to open a base.
  ///
  /// - Parameters:
  ///   - base: what the file says of it.
  ///   - file: the path of the file.
  ///   - source: the base itself, where it is at hand.
  /// - Throws: `CheckpointError` where the source is another base.
  init(_ base: ChunkedBase, of file: String, source: (any TensorSource)?) throws(CheckpointError) {
    self.base = base
    self.file = file
    state = Mutex(nil)
    if let source {
      try check(source)
      state.withLock { $0 = Opened(source: source, names: source.manifest.names.sorted()) }
    }
  }

  /// Lends the bytes of a chunk of the base, from its beginning on.
  ///
  /// - Throws: `CheckpointError` where the base is not there, is another one, or cannot be read.
  func withChunk(
    _ place: ChunkEntry.Base,
    byteCount: Int,
    of owner: ChunkedIndex.Owner,
    _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(CheckpointError) {
    let opened = try open()
    let start = Int(place.chunk).multipliedReportingOverflow(by: ChunkedFormat.chunkSize)
    guard Int(place.tensor) < opened.names.count, !start.overflow,
      let info = opened.source.manifest[opened.names[Int(place.tensor)]],
      let available = info.byteCount, start.partialValue <= available - byteCount
    else {
      throw different(
        "chunk \(place.chunk) of tensor \(place.tensor), which \(owner.tensor?.quoted ?? "it") is"
          + " stored as a difference from, is not in it"
      )
    }
    let name = opened.names[Int(place.tensor)]
    let range = start.partialValue..<start.partialValue + byteCount
    try opened.source.withBytes(range, of: name) { bytes throws(CheckpointError) in body(bytes) }
  }

  private func open() throws(CheckpointError) -> Opened {
    if let opened = state.withLock({ $0 }) { return opened }
    let path = Folder.join(Folder.containing(file), base.path)
    let source: any TensorSource
    do throws(CheckpointError) {
      source = try Checkpoint.open(path: path)
    } catch  where error.kind == .missing {
      throw CheckpointError(
        .missing,
        file: file,
        "it holds differences from \(path), which is not there. Put the checkpoint with the root"
          + " \(base.root) there, or convert the file where it is."
      )
    }
    try check(source)
    let opened = Opened(source: source, names: source.manifest.names.sorted())
    return state.withLock { state in
      state = state ?? opened
      return state ?? opened
    }
  }

  /// Checks what can be checked at once; the digest of each chunk checks the rest.
  private func check(_ source: any TensorSource) throws(CheckpointError) {
    guard let reader = source as? ChunkedReader else {
      guard base.depth == 1 else { throw different("it is no KCF with a base of its own") }
      return
    }
    guard reader.modelRoot == base.root else {
      throw different("its root is \(reader.modelRoot)")
    }
    guard reader.base?.depth ?? 0 == base.depth - 1 else {
      throw different("\(reader.base?.depth ?? 0) bases stand behind it, not \(base.depth - 1)")
    }
  }

  private func different(_ why: String) -> CheckpointError {
    CheckpointError(
      .malformed,
      file: file,
      "it holds differences from a base with the root \(base.root); \(base.path) is another:"
        + " \(why)."
    )
  }
}
