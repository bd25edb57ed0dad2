public import KaratBytes
import KaratCheckpoints
public import KaratEngine
public import KaratModels
import KaratTensors
import Foundation

extension LoadedModel {
  /// What a store of this model's probabilities for some windows depends on.
  ///
  /// Reads all of the model's tensors for their digest, at about 1.5 GB/s for each core.
  ///
  /// - Parameters:
  ///   - windows: the tokens, windows of one length.
  ///   - k: how many of the most likely tokens are stored for each place.
  ///   - progress: hears how far the digest is.
  /// - Returns: the key.
  /// - Throws: what opening the tokenizer throws, `CheckpointError` where a tensor cannot be read.
  public func teacherStoreKey(
    _ windows: [[Int32]],
    k: Int,
    progress: ProgressReporter = .silent
  ) throws -> TeacherStoreKey {
    TeacherStoreKey(
      teacher: try ContentRoot.of(
        model.source,
        threads: ProcessInfo.processInfo.activeProcessorCount,
        progress: progress
      ),
      tokenizer: try tokenizer().vocabularyDigest,
      windows: windows,
      k: k,
      vocabulary: model.graph.named["logits"].flatMap { model.graph.type(of: $0).features } ?? 0
    )
  }

  /// Stores this model's probabilities for windows of tokens, or opens the store where it is there.
  ///
  /// - Parameters:
  ///   - path: the store's file.
  ///   - windows: the tokens, windows of one length.
  ///   - k: how many of the most likely tokens are stored for each place.
  ///   - threads: how many threads the model runs on, or nil for one on each core.
  ///   - memory: what running it may hold at a time, or nil for as much as it takes.
  ///   - progress: hears how far the work is.
  /// - Returns: the store.
  /// - Throws: `TeacherStoreError` where a store is there that was made with something else, or
  ///   windows differ in length; `EngineError` where the model cannot run over them;
  ///   `CheckpointError` and `FileError` where files cannot be read or written.
  public func teacherStore(
    _ path: String,
    windows: [[Int32]],
    k: Int,
    threads: Int? = nil,
    memory: MemoryBudget? = nil,
    progress: ProgressReporter = .silent
  ) throws -> TeacherStore {
    let key = try teacherStoreKey(windows, k: k, progress: progress)
    if !FileStatus.isThere(path) {
      let writer = try TeacherStoreWriter(path, key, windows: windows)
      try Executor(model, threads: threads, memory: memory)
        .topTokens(windows, k: k, progress: progress) { try writer.add($0, $1) }
      try writer.finish()
    }
    return try TeacherStore(path, expecting: key)
  }
}
