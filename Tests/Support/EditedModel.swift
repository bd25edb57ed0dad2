import Foundation
package import KaratBytes
import KaratCheckpoints
package import KaratTensors

/// A model folder among the fixtures, read into memory so that a test can break it.
package struct EditedModel {
  package var config: JSONObject
  package var tensors: [TensorName: Tensor] = [:]
  /// Names of further files of the fixture that travel along.
  private let companions: [String]
  private let origin: String

  package init(_ name: String) throws {
    origin = fixture(name)
    let bytes = try ReadableFile.contents(of: origin + "/config.json")
    config = try JSONValue.parse(bytes).object ?? JSONObject()
    let source = try SafetensorsReader(origin + "/model.safetensors")
    for name in source.manifest.names { tensors[name] = try source.tensor(name) }
    companions = try Folder.names(in: origin).filter { $0.hasPrefix("tokenizer") }
  }

  /// Changes the elements of a float32 or float16 tensor, which becomes float32.
  package mutating func edit(_ name: TensorName, _ change: (inout [Float]) -> Void) {
    guard let tensor = tensors[name] else { return }
    var floats =
      tensor.dtype == .f16
      ? tensor.elements(as: Float16.self).map { Float($0) } : tensor.elements(as: Float.self)
    change(&floats)
    tensors[name] = Tensor(floats, shape: tensor.shape)
  }

  /// Replaces one element.
  package mutating func set(_ name: TensorName, at index: Int, to value: Float) {
    edit(name) { $0[index] = value }
  }

  /// Multiplies one position of the innermost extent.
  package mutating func scale(_ name: TensorName, column: Int, by factor: Float) {
    let width = tensors[name]?.shape.dimensions.last ?? 1
    edit(name) { floats in
      for index in stride(from: column, to: floats.count, by: width) { floats[index] *= factor }
    }
  }

  /// The tensors as a source.
  package var source: MemorySource { MemorySource(tensors) }

  /// Writes the folder.
  @discardableResult
  package func write(to folder: String) throws -> String {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try SafetensorsWriter(metadata: ["format": "pt"], replacing: true)
      .write(source, to: folder + "/model.safetensors")
    let text = JSONValue.object(config).serialized(indent: 2)
    try Data(text).write(to: URL(filePath: folder + "/config.json"))
    for name in companions where !FileManager.default.fileExists(atPath: folder + "/" + name) {
      try FileManager.default.copyItem(atPath: origin + "/" + name, toPath: folder + "/" + name)
    }
    return folder
  }
}
