import KaratBytes
import KaratTensors
import Synchronization

/// A source some of whose tensors were learned since: those of block after block take their places.
///
/// Learned tensors are held in memory, or in a file, where memory is short.
final class LearnedSource: TensorSource {
  private let base: any TensorSource
  private let file: ScratchFile?

  private struct State {
    var manifest: Manifest
    var held: [TensorName: Tensor] = [:]
    var offsets: [TensorName: Int] = [:]
    var end = 0
  }
  private let state: Mutex<State>

  /// - Parameters:
  ///   - base: what the rest comes from.
  ///   - isFiled: whether what was learned goes to a file.
  /// - Throws: `FileError` where there can be no file.
  init(_ base: any TensorSource, isFiled: Bool) throws(FileError) {
    self.base = base
    state = Mutex(State(manifest: base.manifest))
    file = isFiled ? try ScratchFile() : nil
  }

  /// What the source holds now.
  var manifest: Manifest { state.withLock(\.manifest) }

  /// Lets tensors take the places of those of their names, once each.
  ///
  /// - Throws: `CheckpointError` where one cannot be computed, `FileError` where the file cannot take it.
  func learn(_ changes: [TensorName: DerivedTensor]) throws {
    for (name, change) in changes.sorted(by: { $0.key < $1.key }) {
      let tensor = try change.compute()
      try state.withLock { state in
        state.manifest.set(name, TensorInfo(tensor.dtype, tensor.shape))
        guard let file else {
          state.held[name] = tensor
          return
        }
        try tensor.withBytes { bytes in try file.write(bytes, at: state.end) }
        state.offsets[name] = state.end
        state.end += tensor.byteCount
      }
    }
  }

  func isDivisible(_ name: TensorName) -> Bool {
    state.withLock { $0.held[name] != nil || $0.offsets[name] != nil } || base.isDivisible(name)
  }

  func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    let (held, offset, info) = state.withLock {
      ($0.held[name], $0.offsets[name], $0.manifest[name])
    }
    if let held { return held }
    guard let offset, let file, let info else { return try base.tensor(name) }
    do throws(FileError) {
      return try Tensor(info.dtype, info.shape) { bytes throws(FileError) in
        try file.read(into: bytes, at: offset)
      }
    } catch {
      throw CheckpointError(.inputOutput, file: error.path, error.message)
    }
  }

  func elements(_ range: Range<Int>, of name: TensorName) throws(CheckpointError) -> Tensor {
    let isLearned = state.withLock { $0.held[name] != nil || $0.offsets[name] != nil }
    return isLearned ? try tensor(name).elements(range) : try base.elements(range, of: name)
  }
}
