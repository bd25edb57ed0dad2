import Foundation
public import KaratBytes
import KaratCheckpoints
public import KaratTensors

/// What a checkpoint holds, for people and for scripts.
public struct CheckpointSummary: Sendable {
  /// The name of the format.
  public let format: String
  /// What the config says that the model is, or nil where there is no config.
  public let architecture: String?
  /// How the weights are quantized, or nil where they are not or nothing says so.
  public let quantization: JSONValue?
  /// The tensors under the file's own names, types and shapes.
  public let manifest: Manifest
  /// The digest of all names, types, shapes and contents, the same for the same tensors in any
  /// format; nil where it was not computed.
  public let root: SHA256Digest?

  /// When the root is computed, which reads every tensor at 1.5 GB/s and more for each core.
  public enum RootChoice: Sendable, Hashable {
    /// Where the checkpoint is small, or carries its root.
    case whereCheap
    case always
    case never

    /// The most bytes of tensors that are read unasked.
    static let cheapByteCount = 16 << 30
    /// The most bytes of which nobody wants to hear how far they are.
    static let quickByteCount = 1 << 30
  }

  /// Looks at a checkpoint; names, types and shapes are read, and contents for the root alone.
  ///
  /// - Parameters:
  ///   - path: a file or a model folder.
  ///   - choice: whether the root is computed. A KCF carries its own, which is given as it is
  ///     unless the contents are to be read always.
  ///   - progress: hears how far the root is.
  /// - Throws: `CheckpointError` where it is none or breaks a rule of its format.
  public init(
    _ path: String,
    root choice: RootChoice = .never,
    progress: ProgressReporter = .silent
  ) throws(CheckpointError) {
    let files = try ModelFiles.open(path)
    format = files.format
    architecture =
      files.config?["architectures"]?.array?.first?.string ?? files.config?["model_type"]?.string
    quantization = files.config?["quantization_config"].flatMap { $0.isNull ? nil : $0 }
    let source = try Checkpoint.open(path: path)
    manifest = source.manifest
    let heard = manifest.totalBytes > RootChoice.quickByteCount ? progress : .silent
    let chunked = source as? ChunkedReader
    switch choice {
    case .never:
      root = nil
    case .always:
      root =
        if let chunked {
          try chunked.verifiedRoot(progress: heard)
        } else {
          try Self.root(of: source, heard)
        }
    case .whereCheap:
      if let chunked {
        root = chunked.modelRoot
      } else if manifest.totalBytes <= RootChoice.cheapByteCount {
        root = try Self.root(of: source, heard)
      } else {
        root = nil
      }
    }
  }

  private static func root(
    of source: any TensorSource,
    _ progress: ProgressReporter
  ) throws(CheckpointError) -> SHA256Digest {
    let threads = ProcessInfo.processInfo.activeProcessorCount
    return try ContentRoot.of(source, threads: threads, progress: progress)
  }

  /// The elements of all tensors.
  public var parameters: Int { manifest.totalElements }
  /// The bytes of all tensors.
  public var byteCount: Int { manifest.totalBytes }

  /// The document that `karat inspect --json` prints.
  public func json(tensors: Bool) -> JSONValue {
    var object = JSONObject()
    object["format"] = .string(format)
    object["architecture"] = architecture.map(JSONValue.string) ?? .null
    object["parameters"] = .number(JSONNumber(parameters))
    object["bytes"] = .number(JSONNumber(byteCount))
    object["quantization"] = quantization ?? .null
    object["root"] = root.map { .string($0.description) } ?? .null
    guard tensors else { return .object(object) }
    object["tensors"] = .array(
      manifest.names.compactMap { name in
        manifest[name].map { info in
          [
            "name": .string(name.text), "dtype": .string(info.dtype.rawValue),
            "shape": .array(info.shape.dimensions.map { .number(JSONNumber($0)) }),
            "bytes": .number(JSONNumber(info.byteCount ?? 0)),
          ]
        }
      }
    )
    return .object(object)
  }

  /// A page for reading.
  public func text(tensors: Bool) -> String {
    var lines = [
      "format         \(format)",
      "architecture   \(architecture ?? "unknown: there is no config.json")",
      "parameters     \(parameters)",
      "bytes          \(byteCount)",
      "quantization   \(quantizationText)",
      "tensors        \(manifest.count): \(typeCounts)",
      "root           \(root?.description ?? "not computed: --root reads all \(byteCount) bytes")",
    ]
    guard tensors else { return lines.joined(separator: "\n") }
    lines.append("")
    for name in manifest.names {
      guard let info = manifest[name] else { continue }
      lines.append("\(info.dtype.rawValue)\t\(info.shape)\t\(name.quoted)")
    }
    return lines.joined(separator: "\n")
  }

  private var quantizationText: String {
    guard let quantization else { return "none" }
    let method = quantization["quant_method"]?.string ?? "unnamed"
    return [method, quantization["format"]?.string].compactMap(\.self).joined(separator: ", ")
  }

  private var typeCounts: String {
    let types = manifest.names.compactMap { manifest[$0]?.dtype.rawValue }
    return Dictionary(grouping: types, by: \.self).sorted {
      ($1.value.count, $0.key) < ($0.value.count, $1.key)
    }
    .map { "\($0.value.count) \($0.key)" }.joined(separator: ", ")
  }
}
