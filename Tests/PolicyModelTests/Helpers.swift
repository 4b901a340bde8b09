import PolicyModel
import Testing
