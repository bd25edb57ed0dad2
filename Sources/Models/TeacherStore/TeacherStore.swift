import KaratBytes
import KaratCheckpoints
import KaratKernels
public import KaratTensors

/// A teacher's most likely tokens for windows of text, stored once and read window by window, so that
/// the teacher is not in memory while a student learns (layout: docs/distillation.md).
public struct TeacherStore: Sendable {
  /// The file.
  public let path: String
  /// What was stored.
  public let key: TeacherStoreKey

  private let file: SafetensorsReader

  /// Opens a store for a run that would otherwise ask the teacher.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - key: what the run asks for.
  /// - Throws: `TeacherStoreError` where it is of another teacher, other data or another k, or no store;
  ///   `CheckpointError` where it is no safetensors file.
  public init(_ path: String, expecting key: TeacherStoreKey) throws {
    let file = try SafetensorsReader(path)
    let metadata = file.manifest.metadata
    func fault(_ message: String) -> TeacherStoreError { TeacherStoreError(path, message) }
    guard metadata["format"] == TeacherStoreKey.format else {
      throw fault(
        "the format is \(metadata["format"].map { "'\($0)'" } ?? "not named"); a store of a "
          + "teacher's probabilities says '\(TeacherStoreKey.format)'. Choose another file."
      )
    }
    let remedy = "Give what it was made with, or remove it to have it made anew."
    let needed = key.metadata
    for (name, what) in [
      ("teacher", "the teacher's tensors"), ("tokenizer", "the vocabulary"),
      ("vocabulary", "the number of logits"), ("length", "the length of windows"),
      ("windows", "the number of windows"), ("data", "the text"),
      ("k", "the number of tokens stored for each place"), ("temperature", "the temperature"),
    ] where metadata[name] != needed[name] {
      throw fault(
        "\(what) of the store: \(metadata[name].map { Self.short($0) } ?? "not there"); of this "
          + "run: \(Self.short(needed[name] ?? "")). \(remedy)"
      )
    }
    for (name, info) in key.tensors {
      guard let found = file.manifest[name] else {
        throw fault("\(name.quoted) is not there. \(remedy)")
      }
      guard found == info else {
        throw fault(
          "\(name.quoted) is \(found.dtype.rawValue) \(found.shape); what the store says of itself "
            + "needs \(info.dtype.rawValue) \(info.shape). \(remedy)"
        )
      }
    }
    self.path = path
    self.key = key
    self.file = file
  }

  /// Reads what is stored of a window.
  ///
  /// - Parameter window: its number, below `key.windows`.
  /// - Returns: its tokens, and the teacher's most likely next tokens after each.
  /// - Throws: `TeacherStoreError` where the numbers are no tokens and probabilities, `CheckpointError`
  ///   where the file cannot be read.
  public func window(_ window: Int) throws -> (tokens: [Int32], top: TopTokens) {
    precondition((0..<key.windows).contains(window), "a window of the store")
    let places = window * key.length..<(window + 1) * key.length
    let entries = places.lowerBound * key.k..<places.upperBound * key.k
    let tokens = try file.elements(places, of: "input_ids").littleEndian(Int32.self)
    let stored = try file.elements(entries, of: "indices")
    let indices =
      key.indexType == .u16
      ? stored.littleEndian(UInt16.self).map(Int32.init) : stored.littleEndian(Int32.self)
    let logs = try file.elements(entries, of: "log_probabilities")
      .asFloat32(on: Workers(threads: 1)).elements(as: Float.self)
    let rest = try file.elements(places, of: "rest")
      .asFloat32(on: Workers(threads: 1)).elements(as: Float.self)
    let limit = Int32(clamping: key.vocabulary)
    for id in tokens + indices where id < 0 || id >= limit {
      throw TeacherStoreError(
        path,
        "window \(window) names token \(id); the teacher has \(key.vocabulary). The file is damaged: "
          + "remove it to have it made anew."
      )
    }
    guard logs.allSatisfy({ $0 <= 0 }), rest.allSatisfy({ (0...1).contains($0) }) else {
      throw TeacherStoreError(
        path,
        "window \(window) holds what are no probabilities. The file is damaged: remove it to have it "
          + "made anew."
      )
    }
    return (
      tokens, TopTokens(k: key.k, indices: indices, logProbabilities: logs, rest: rest)
    )
  }

  /// A digest by its first digits.
  private static func short(_ text: String) -> String {
    text.count > 20 ? text.prefix(12) + "…" : text
  }
}

extension Tensor {
  /// The elements as whole numbers, whatever the alignment.
  fileprivate func littleEndian<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> [T] {
    withBytes { bytes in
      (0..<shape.elementCount).map {
        T(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self))
      }
    }
  }
}
