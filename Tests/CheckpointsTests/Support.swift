import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import Testing

/// The folder `fixtures` of the project.
let fixtures = URL(filePath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  .appending(path: "fixtures")

func fixture(_ path: String) -> String { fixtures.appending(path: path).path }

/// Runs a test in a folder of its own, and removes it.
func inTemporaryFolder(_ body: (String) throws -> Void) throws {
  let folder = FileManager.default.temporaryDirectory.appending(path: "karat-\(UUID())").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try body(folder)
}

func write(_ bytes: [UInt8], to path: String) throws {
  try Data(bytes).write(to: URL(filePath: path))
}

func read(_ path: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(filePath: path)))
}

/// The bytes of a safetensors file with this header.
func safetensors(_ header: String, _ data: [UInt8] = []) -> [UInt8] {
  let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init)
  return length + Array(header.utf8) + data
}

/// The error that work throws, with the folder left out of its text.
func message(in folder: String, _ work: () throws -> Void) -> String? {
  do {
    try work()
    return nil
  } catch {
    return "\(error)".replacing(folder + "/", with: "")
  }
}

/// Checks that two sources hold the same tensors, whatever their order.
func expectSameTensors(_ one: any TensorSource, _ other: any TensorSource) throws {
  #expect(one.manifest.names.sorted() == other.manifest.names.sorted())
  for name in one.manifest.names {
    #expect(one.manifest[name] == other.manifest[name])
    #expect(try one.tensor(name).isIdentical(to: other.tensor(name)), "\(name)")
  }
}
