import KaratCheckpoints
public import KaratExport
import KaratModels
import KaratPasses
public import KaratTensors

/// A checkpoint on its way into another format or number type, a few megabytes in memory at a time.
public struct Conversion: Sendable {
  private let files: ModelFiles
  private let dtype: DType?

  /// Opens what is to be converted.
  ///
  /// - Parameters:
  ///   - input: a model folder or a file of any known format.
  ///   - dtype: the type for floating-point tensors, or nil to keep theirs. Weights that are codes
  ///     with scales, INT8 or FP8, become numbers of that type.
  ///   - base: what the tensors of a KCF are differences from, or nil where its own word is good.
  /// - Throws: `CheckpointError` where it is no checkpoint or breaks a rule of its format.
  public init(
    _ input: String,
    dtype: DType?,
    base: (any TensorSource)? = nil
  ) throws(CheckpointError) {
    files = try ModelFiles.open(input, base: base)
    self.dtype = dtype
  }

  /// Writes the result.
  ///
  /// - Parameters:
  ///   - output: where it appears, whole or not at all.
  ///   - form: what is written there.
  ///   - writer: how it is written.
  /// - Returns: what the reader of the result should know: what the form could not hold.
  /// - Throws: `CheckpointError` where codes lack their scales, and as `ModelWriter` does.
  @discardableResult
  public func write(
    _ output: String,
    as form: ModelForm = .folder,
    _ writer: ModelWriter = ModelWriter()
  ) throws -> [String] {
    try writer.checkTarget(output, as: form)
    let command = "convert" + (dtype.map { " --dtype \($0.rawValue.lowercased())" } ?? "")
    var content = ModelContent(files, record: ModelRecord(command: command))
    if case .gguf = form {
      // Its writer rounds by itself, and takes INT8 codes over; FP8 it has no place for.
      content.source = try files.source.decompressed(
        config: files.config,
        file: files.path,
        keepsIntegers: dtype == nil || dtype == .q8_0
      )
    } else if let dtype {
      // Codes of a type that the user did not name would no longer be what the config says.
      content.source = try files.source.decompressed(config: files.config, file: files.path)
        .cast(to: dtype, file: files.path)
      content.describe(as: dtype)
    }
    return try writer.write(content, to: output, as: form)
  }
}

extension ModelContent {
  /// Says in the config that the numbers are of a type, and no codes.
  fileprivate mutating func describe(as dtype: DType) {
    guard config != nil else { return }
    config?["quantization_config"] = nil
    let key = config?["torch_dtype"] != nil ? "torch_dtype" : "dtype"
    let name =
      switch dtype {
      case .f16: "float16"
      case .bf16: "bfloat16"
      default: "float32"
      }
    config?[key] = .string(name)
    configFile = nil
  }
}
