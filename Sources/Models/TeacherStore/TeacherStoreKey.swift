public import KaratBytes
import KaratTensors

/// What a teacher's stored probabilities depend on: a store serves only where all of it is the same.
public struct TeacherStoreKey: Sendable, Hashable {
  /// The content root of the teacher's tensors.
  public let teacher: SHA256Digest
  /// The digest of the map from ids to tokens.
  public let tokenizer: SHA256Digest
  /// The digest of the windows' tokens.
  public let data: SHA256Digest
  /// How many windows there are, and how many tokens one has.
  public let windows, length: Int
  /// How many of the most likely tokens are stored for each place.
  public let k: Int
  /// How many logits the teacher gives.
  public let vocabulary: Int

  /// Describes a store of some windows.
  ///
  /// - Parameters:
  ///   - teacher: the content root of the teacher's tensors.
  ///   - tokenizer: `Tokenizer.vocabularyDigest`.
  ///   - windows: the tokens, windows of one length.
  ///   - k: how many of the most likely tokens are stored for each place.
  ///   - vocabulary: how many logits the teacher gives.
  public init(
    teacher: SHA256Digest,
    tokenizer: SHA256Digest,
    windows: [[Int32]],
    k: Int,
    vocabulary: Int
  ) {
    self.teacher = teacher
    self.tokenizer = tokenizer
    data = Self.digest(windows)
    self.windows = windows.count
    length = windows.first?.count ?? 0
    self.k = k
    self.vocabulary = vocabulary
  }

  /// The digest of windows: of their tokens as 32-bit numbers, one behind the other.
  static func digest(_ windows: [[Int32]]) -> SHA256Digest {
    var accumulator = SHA256Digest.Accumulator()
    for window in windows { window.map(\.littleEndian).withUnsafeBytes { accumulator.append($0) } }
    return accumulator.digest
  }

  /// The format's name and version.
  static let format = "karat-teacher-1"

  /// The text that goes with the tensors.
  var metadata: [String: String] {
    [
      "format": Self.format, "teacher": "\(teacher)", "tokenizer": "\(tokenizer)",
      "data": "\(data)", "windows": "\(windows)", "length": "\(length)", "k": "\(k)",
      "vocabulary": "\(vocabulary)", "temperature": "1",
    ]
  }

  /// The tensors of a store, in the file's order.
  var tensors: [(name: TensorName, info: TensorInfo)] {
    [
      ("indices", TensorInfo(indexType, [windows, length, k])),
      ("input_ids", TensorInfo(.i32, [windows, length])),
      ("log_probabilities", TensorInfo(.f16, [windows, length, k])),
      ("rest", TensorInfo(.f32, [windows, length])),
    ]
  }

  /// Two bytes where every token has a number of two.
  var indexType: DType { vocabulary <= 1 << 16 ? .u16 : .i32 }
}
