"""Boot files: their texts, the steps that change them, and where their addresses come from."""
from __future__ import annotations

import pytest

from qrm_tui.backends import boot
from qrm_tui.backends import hypervisor as words_of
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.errors import Refused
from qrm_tui.core.facts import File
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.netboot import BootSettings, boot_settings, find_boot_settings
from qrm_tui.core.plan import RemoveFile, WriteFile
from qrm_tui.practice.node import read_ipxe, read_pxelinux

MAC = "52:54:00:77:00:20"
SETTINGS = BootSettings("10.77.0.2", "http://10.77.0.2/qrm/boot", "http://10.77.0.2:8640", "console=ttyS0")
ROOT = boot.Root("ve-1", "customer1", "debian12", "10.77.0.3", "/vol/customer1", "customer1")
BIOS, UEFI = "/srv/qrm/boot/pxelinux.cfg/01-52-54-00-77-00-20", "/srv/qrm/boot/ipxe/52-54-00-77-00-20.ipxe"


def farm_with(**settings: dict[str, str]) -> Farm:
    farm = Farm(lambda: 1000.0)
    for name, values in settings.items():
        farm.put(Item(kind="component", name=name, wanted=ComponentWanted(settings=values)))
    return farm


def test_both_kinds_of_firmware_get_the_same_command_line() -> None:
    files = boot.machine_files(SETTINGS, "r1", MAC, ROOT)
    assert list(files) == [BIOS, UEFI]
    words = ("qrm.node=http://10.77.0.2:8640 qrm.http=http://10.77.0.2/qrm/boot console=ttyS0 qrm.ve=ve-1 "
             "qrm.root=nfs:10.77.0.3:/vol/customer1 qrm.hostname=customer1")
    assert f"  APPEND {words}\n" in files[BIOS] and "  IPAPPEND 2\n" in files[BIOS]
    assert f"initrd=initrd.img {words} BOOTIF=01-${{net0/mac:hexhyp}} || goto failed\n" in files[UEFI]
    assert "images/debian12/vmlinuz" in files[BIOS] and "/images/debian12/vmlinuz" in files[UEFI]


def test_a_hypervisor_gets_its_files_and_words_by_both_kinds_of_firmware() -> None:
    settings = SETTINGS._replace(options="console=tty0 console=ttyS0,115200 quiet", hypervisor="dom0_mem=1G")
    files = boot.machine_files(settings, "r1", MAC, ROOT._replace(boot_image="xen", type="xen", bridged=True))
    hypervisor = "dom0_mem=1G com1=115200,8n1 console=com1,vga"
    words = ("qrm.node=http://10.77.0.2:8640 qrm.http=http://10.77.0.2/qrm/boot console=tty0 console=hvc0 quiet "
             "qrm.ve=ve-1 qrm.root=nfs:10.77.0.3:/vol/customer1 qrm.hostname=customer1 qrm.bridge=qrm0 "
             "BOOTIF=01-52-54-00-77-00-20")
    assert files[BIOS] == f"""\
# qrm: r1 runs virtual environment customer1
DEFAULT xen
PROMPT 0
# deciseconds: what could not be loaded is tried again
TIMEOUT 100
LABEL xen
  COM32 mboot.c32
  APPEND images/xen/xen.gz {hypervisor} --- images/xen/vmlinuz {words} --- images/xen/initrd.img
"""
    script, _, below = files[UEFI].partition("\n\n")
    assert below == f"[global]\ndefault=qrm\n[qrm]\noptions={hypervisor}\nkernel=vmlinuz {words}\nramdisk=initrd.img\n"
    for line in script.splitlines():
        if line.startswith(("kernel", "initrd", "boot", "chain", "iseq")):
            assert line.endswith(("|| goto failed", "|| goto bios")), line
    # what lies below is no part of the script: nothing falls through to it, whatever fails
    assert script.splitlines()[-1].endswith("|| goto failed")


@pytest.mark.parametrize("root", [ROOT, ROOT._replace(boot_image="xen", type="xen", bridged=True)])
def test_a_simulated_machine_reads_what_a_real_one_does(root: boot.Root) -> None:
    files = boot.machine_files(SETTINGS, "r1", MAC, root)
    by_bios, by_uefi = read_pxelinux(files[BIOS]), read_ipxe(files[UEFI])
    assert by_bios and by_uefi
    image = f"images/{root.boot_image}"
    assert by_bios["files"] == by_uefi["files"] == f"{image}/vmlinuz {image}/initrd.img"
    for read in (by_bios, by_uefi):
        assert "qrm.ve=ve-1" in read["words"].split() and "qrm.hostname=customer1" in read["words"].split()


@pytest.mark.parametrize(("options", "hypervisor", "first_domain"), [
    ("console=tty0 console=ttyS0,115200", "com1=115200,8n1 console=com1,vga", "console=tty0 console=hvc0"),
    ("console=ttyS1,9600e7 quiet", "com2=9600,7e1 console=com2,vga", "console=hvc0 quiet"),
    ("console=ttyS0 console=ttyS1,57600n8r", "com1=9600,8n1 com2=57600,8n1 console=com1,com2,vga", "console=hvc0"),
    # lines that Xen does not know stay the kernel's
    ("console=ttyS2,115200", "console=vga", "console=ttyS2,115200"),
    ("", "console=vga", ""),
])
def test_serial_lines_are_the_hypervisors(options: str, hypervisor: str, first_domain: str) -> None:
    assert words_of.hypervisor_words(options, "") == hypervisor
    assert words_of.first_domain_words(options) == first_domain


def test_partitions_of_a_plain_kernel_hang_on_a_bridge_too() -> None:
    files = boot.machine_files(SETTINGS, "r1", MAC, ROOT._replace(bridged=True))
    assert " qrm.bridge=qrm0\n" in files[BIOS] and " qrm.bridge=qrm0 BOOTIF=" in files[UEFI]


def test_without_work_it_boots_idle_as_who_is_not_known_does() -> None:
    own, default = boot.machine_files(SETTINGS, "r1", MAC), boot.default_files(SETTINGS)
    assert "qrm.ve" not in own[BIOS] and "images/idle/vmlinuz" in own[BIOS]
    assert own[BIOS].splitlines()[1:] == default["/srv/qrm/boot/pxelinux.cfg/default"].splitlines()[1:]
    assert "${net0/mac:hexhyp}.ipxe || chain" in default["/srv/qrm/boot/ipxe/boot.ipxe"]


def test_a_script_of_ipxe_never_falls_through_to_another_machines() -> None:
    # a failing line would end the script, and boot.ipxe would take the default: a VE's machine would come up idle
    for line in boot.machine_files(SETTINGS, "r1", MAC, ROOT)[UEFI].splitlines():
        if line.startswith(("kernel", "initrd", "boot", "chain")):
            assert line.endswith("|| goto failed"), line


def test_macs_are_written_as_loaders_ask_for_them() -> None:
    assert boot.machine_paths("52:54:00:AB:CD:EF")[0].endswith("/01-52-54-00-ab-cd-ef")
    assert boot.nonce_path(MAC) == "/srv/qrm/boot/nonce/52-54-00-77-00-20"


def test_only_what_is_another_is_written_and_the_former_is_kept() -> None:
    idle = boot.machine_files(SETTINGS, "r1", MAC)
    assert boot.boot_steps(SETTINGS, "r1", MAC, lambda path: File(content=idle[path])) == []
    steps = boot.boot_steps(SETTINGS, "r1", MAC, lambda path: File(content=idle[path]) if path == BIOS else None, ROOT)
    assert [(step.path, step.former) for step in steps if isinstance(step, WriteFile)] == [(BIOS, idle[BIOS]),
                                                                                        (UEFI, None)]


def test_what_is_removed_is_what_is_there() -> None:
    steps = boot.removal_steps("r1", MAC, lambda path: File(content="x", mode=0o600) if path == UEFI else None)
    assert [(type(step), step.path, step.former, step.mode) for step in steps if isinstance(step, RemoveFile)] == [
        (RemoveFile, UEFI, "x", 0o600)]


def test_settings_are_the_components() -> None:
    farm = farm_with(dhcpd={"address": "10.1.0.1/16"}, node={},
                     tftpd={"options": "console=tty0\nquiet", "hypervisor": " dom0_mem=1G\n"},
                     apache={"port": "8080"})
    found = boot_settings(farm)
    assert found == BootSettings("10.1.0.1", "http://10.1.0.1:8080/qrm/boot", "http://10.1.0.1:8640",
                                 "console=tty0 quiet", "dom0_mem=1G")


@pytest.mark.parametrize("missing", ["dhcpd", "tftpd", "apache", "node"])
def test_without_one_of_them_no_machine_is_booted(missing: str) -> None:
    settings = {"dhcpd": {"address": "10.1.0.1"}, "tftpd": {}, "apache": {}, "node": {}}
    del settings[missing]
    farm = farm_with(**settings)
    assert find_boot_settings(farm) is None
    with pytest.raises(Refused, match="qrm install run"):
        boot_settings(farm)
