/// What is wrong with a checkpoint, or with reading or writing one.
///
/// The message says where, what is, what was needed, and what to do, in that order:
/// `model.safetensors, 'h.0.attn.weight': bytes 4096..<8192 hold 1024 F32 values; shape [32, 64]
/// needs 2048.`
public struct CheckpointError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of fault it is; tells the command's exit code.
  public enum Kind: Sendable, Hashable {
    /// The bytes are not what the format demands, or tensors do not fit together.
    case malformed
    /// A file, tensor or key that is needed is not there.
    case missing
    /// The content is understood and not supported.
    case unsupported
    /// The output exists already.
    case exists
    /// The operating system refused: permission, a full disk, a failing device.
    case inputOutput
  }

  /// What kind of fault it is.
  public let kind: Kind
  /// The file or folder, as the user named it, or nil where there is none.
  public let file: String?
  /// The tensor, or nil where the fault is not in one.
  public let tensor: TensorName?
  /// What is, what was needed, and what to do, in whole sentences.
  public let message: String

  /// Describes a fault.
  public init(
    _ kind: Kind,
    file: String? = nil,
    tensor: TensorName? = nil,
    _ message: String
  ) {
    self.kind = kind
    self.file = file
    self.tensor = tensor
    self.message = message
  }

  /// A tensor that is not there.
  public static func missing(_ tensor: TensorName, in file: String) -> CheckpointError {
    CheckpointError(
      .missing,
      file: file,
      tensor: tensor,
      "there is no tensor of that name."
    )
  }

  /// The message behind the file and the tensor.
  public var description: String {
    let place = [file, tensor?.quoted].compactMap(\.self).joined(separator: ", ")
    return place.isEmpty ? message : "\(place): \(message)"
  }
}
